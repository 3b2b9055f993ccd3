"""Embeds the gallery and the degraded probe images of the open protocol, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.faces.embed import Embedder
from probefusion.faces.images import read_crop
from probefusion.protocols.degraded_folder import DegradedFolderProtocol, ProbeImage, render
from probefusion.types import EmbeddingSet

__all__ = ["embed_protocol"]


def embed_protocol(
    protocol: DegradedFolderProtocol,
    embedder: Embedder,
    *,
    num_images: int,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeData:
    """Embeds everything an evaluation of the protocol needs.

    Args:
        protocol: Who is in the gallery and in the probe sets.
        embedder: The embedder.
        num_images: K, images per probe set; smaller sets are the first images of each.
        cache: Folder to keep the result in, in half precision; a result of the same protocol, size
            and embedder is taken from there.
        progress: Called with (images done, images in all).

    Returns:
        Gallery and probes, probe set after probe set in the protocol's order.

    Raises:
        ConfigError: If `num_images` is larger than the protocol's largest set.
        FileFormatError: If an image cannot be read.
    """
    name = f"{protocol.definition()['version']}/{protocol.mix}@{protocol.content_hash[:12]}"
    kept: Path | None = None
    if cache is not None:
        Path(cache).mkdir(parents=True, exist_ok=True)
        embedder_hash = embedder.spec.fingerprint.split("@")[-1]
        kept = Path(cache) / f"probes-{protocol.content_hash[:12]}-{embedder_hash}-{num_images}.npz"
        if kept.exists():
            return ProbeData.load(kept)

    def read_image(source: str) -> npt.NDArray[np.uint8]:
        return read_crop(protocol.people.read(source), source=source)

    sets = list(protocol.probe_sets(num_images))
    total = len(protocol.gallery) + len(sets) * num_images
    gallery = _embed(
        embedder, [entry.source for entry in protocol.gallery], read_image, 0, total, progress
    )
    images = [image for probe_set in sets for image in probe_set.images]
    probes = _embed(
        embedder, images, lambda image: render(image, read_image), len(gallery), total, progress
    )
    data = ProbeData(
        gallery=gallery,
        gallery_subjects=np.array([entry.subject_id for entry in protocol.gallery]),
        probes=probes,
        probe_subjects=np.array([probe_set.subject_id for probe_set in sets]),
        severities=np.array(
            [[image.severity for image in probe_set.images] for probe_set in sets], np.float32
        ),
        protocol=name,
    )
    if kept is None:
        return data
    data.save(kept, force=True)
    return ProbeData.load(kept)


def _embed(
    embedder: Embedder,
    items: list[str] | list[ProbeImage],
    draw: Callable[..., npt.NDArray[np.uint8]],
    done: int,
    total: int,
    progress: Callable[[int, int], None] | None,
    batch: int = 64,
) -> EmbeddingSet:
    """Draws and embeds crops batch by batch."""
    if not items:
        raise FileFormatError("protocol: expected at least one image to embed, got none.")
    parts = []
    for start in range(0, len(items), batch):
        chosen = items[start : start + batch]
        parts.append(embedder.embed_set(np.stack([draw(item) for item in chosen])))
        if progress is not None:
            progress(done + start + len(chosen), total)
    return EmbeddingSet.concatenate(parts)
