"""People of the degraded-folder protocol, as evaluation and calibration take them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.errors import EmptySetError
from probefusion.pipeline.alignment_check import check_data_aligned

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.evaluation.probe_data import ProbeData
    from probefusion.protocols.degraded_folder import DegradedFolderProtocol, People

__all__ = ["check_measurable", "check_people_aligned", "embed_folder"]


def embed_folder(
    protocol: DegradedFolderProtocol,
    embedder: Embedder,
    num_images: int,
    cache: str | Path | None,
    progress: Callable[[int, int], None] | None,
) -> ProbeData:
    """Gallery and probes of the degraded-folder protocol, embedded."""
    from probefusion.evaluation.embed_protocol import embed_protocol

    kept = None if cache is None else os.fspath(cache)
    return embed_protocol(protocol, embedder, num_images=num_images, cache=kept, progress=progress)


def check_measurable(protocol: DegradedFolderProtocol) -> None:
    """Refuses people among whom nothing can be compared.

    Raises:
        EmptySetError: If the gallery holds one person.
    """
    if len(protocol.gallery) < 2:
        raise EmptySetError(
            f"data: folds {protocol.folds} hold {len(protocol.gallery)} of the {len(protocol.people.images)} "
            f"people, so nobody to be mistaken for. Take all folds (--folds 0,1,2,3), or give more people."
        )


def check_people_aligned(
    people: People, embedder: Embedder, *, is_trusted: bool, name: str = "--data"
) -> None:
    """Refuses people whose images are not aligned crops, see `check_data_aligned`.

    Raises:
        ConfigError: If they are not.
    """
    check_data_aligned(
        [source for images in people.images.values() for source in images],
        people.read,
        name=name,
        input_size=embedder.spec.input_size,
        is_trusted=is_trusted,
    )
