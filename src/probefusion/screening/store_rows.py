"""Do stored embeddings come from these images and this embedder? And if not, what was done to the images?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from probefusion.embedders.face_views import unit_rows
from probefusion.types import FloatArray

__all__ = ["StoreCheck", "check_store", "match_rows"]

_SAME = 0.98
"""Cosine from which two embeddings are one; those of an 8-bit form or of a JPEG saved anew are above it."""
_ALIKE = 0.6
"""How much the similarities among the images must agree for two embedders of the same images."""
_BETTER = 0.002
_FEW = 4


@dataclass(frozen=True, kw_only=True)
class StoreCheck:
    """Stored rows beside the embeddings of their images.

    Args:
        num_rows: Rows that were compared.
        num_same: How many of them are the embedding of their image.
        cosine: Median cosine of rows with the embeddings of their images; None where dimensions differ.
        explanation: Key of what was done to the images, under which the rows that differ are their embeddings, or None.
        num_explained: How many rows it explains.
        agreement: Correlation of the similarities among the rows with those among the embeddings: near 1 if two
            embedders saw the same images, near 0 if the images are others or in another order; None for few rows.
        dims: Dimensions of rows and embeddings.
    """

    num_rows: int
    num_same: int
    cosine: float | None
    explanation: str | None
    num_explained: int
    agreement: float | None
    dims: tuple[int, int]

    @property
    def is_same(self) -> bool:
        """Whether all rows are the embeddings of their images."""
        return self.num_same == self.num_rows

    @property
    def shows_same_images(self) -> bool:
        """Whether the rows are of the same images at least, by another embedder."""
        return self.agreement is not None and self.agreement >= _ALIKE


def match_rows(
    stored: Sequence[str] | None, num_rows: int, images: Sequence[str]
) -> list[tuple[int, int]] | None:
    """Which row is of which image: by name, else by the end of the name, else by order if there are as many.

    Args:
        stored: Names that the store gives its rows, or None.
        num_rows: Rows in the store.
        images: Names of the images.

    Returns:
        Pairs (row, image); None if nothing tells which row is of which image.
    """
    if stored is None:
        return [(row, row) for row in range(num_rows)] if num_rows == len(images) else None
    for parts in (0, 2, 1):
        names, wanted = _ends(images, parts), _ends(stored, parts)
        place = {name: number for number, name in enumerate(names)}
        if len(place) < len(names) or len(set(wanted)) < len(wanted):
            continue  # a name that stands twice tells nothing
        pairs = [(row, place[name]) for row, name in enumerate(wanted) if name in place]
        if pairs:
            return pairs
    return None


def check_store(
    rows: FloatArray, embeddings: FloatArray, alternatives: Mapping[str, FloatArray]
) -> StoreCheck:
    """Compares stored rows with the embeddings of their images.

    Args:
        rows: (N, D) stored embeddings, of any length.
        embeddings: (N, E) of the images in the same order.
        alternatives: (N, E) embeddings of the images after something was done to them, by its key.
    """
    num_rows, dims = len(rows), (rows.shape[1], embeddings.shape[1])
    agreement = _agreement(rows, embeddings)
    if dims[0] != dims[1]:
        return StoreCheck(
            num_rows=num_rows, num_same=0, cosine=None, explanation=None, num_explained=0,
            agreement=agreement, dims=dims,
        )  # fmt: skip
    cosines = _cosines(rows, embeddings)
    is_same = cosines >= _SAME
    explained: dict[str, int] = {}
    for key, other in alternatives.items():
        better = _cosines(rows, other)
        is_better = (better >= _SAME) & (better > cosines + _BETTER)
        is_same &= ~is_better
        explained[key] = int(is_better.sum())
    best = max(explained, key=lambda key: explained[key], default=None)
    count = 0 if best is None else explained[best]
    return StoreCheck(
        num_rows=num_rows,
        num_same=int(is_same.sum()),
        cosine=float(np.median(cosines)),
        explanation=best if count else None,
        num_explained=count,
        agreement=agreement,
        dims=dims,
    )


def _ends(names: Sequence[str], parts: int) -> list[str]:
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    return ["/".join(path.parts[-parts:]) if parts else str(path) for path in paths]


def _cosines(one: FloatArray, other: FloatArray) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = (unit_rows(one) * unit_rows(other)).sum(axis=1)
    return found


def _agreement(rows: FloatArray, embeddings: FloatArray) -> float | None:
    if len(rows) < _FEW:
        return None
    upper = np.triu_indices(len(rows), 1)
    one, other = ((unit_rows(each) @ unit_rows(each).T)[upper] for each in (rows, embeddings))
    if one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])
