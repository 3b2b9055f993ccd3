"""Several sets of one person as one, in which every image has a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probefusion.types import EmbeddingSet

__all__ = ["image_names", "join_named"]


def image_names(images: EmbeddingSet, place: int) -> list[str]:
    """The names of a set's images; `ORIGIN[row]`, or `set PLACE[row]`, where it has none."""
    if images.sources is not None:
        names: list[str] = images.sources.tolist()
        return names
    origin = images.origin or f"set {place}"
    return [f"{origin}[{row}]" for row in range(len(images))]


def join_named(sets: Sequence[EmbeddingSet]) -> EmbeddingSet:
    """All images as one set with names; a single set stays as it is.

    Raises:
        ProbeFusionError: If there are none, or they do not go together, as `EmbeddingSet.concatenate` says.
    """
    if len(sets) == 1:
        return sets[0]
    return EmbeddingSet.concatenate(
        replace(images, sources=np.array(image_names(images, place)))
        for place, images in enumerate(sets)
    )
