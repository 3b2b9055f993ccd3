"""What an SCRFD network gives of an image, to boxes, landmarks and scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "COARSEST",
    "EXPECTED_OUTPUTS",
    "Candidates",
    "by_stride",
    "decode_stride",
    "without_overlaps",
]

_STRIDES = (8, 16, 32)
_ANCHORS = 2
"""Anchors at each place of a map; their rows follow each other."""
_SCORE, _BOX, _LANDMARKS = 1, 4, 10
"""Columns of the three kinds of outputs."""
_KINDS = (_SCORE, _BOX, _LANDMARKS)
_NEARLY = 1e-3
"""By so much a score may miss 0 to 1, as half-precision rounds."""

_FAR_OFF = 1e6
"""Pixels from the image; nothing that a network means lies beyond, nor NaN."""

COARSEST = _STRIDES[-1]
"""Height and width of what the network is shown are multiples of this."""

EXPECTED_OUTPUTS = (
    "scores (1 column), boxes (4) and landmarks (10) at the strides 8, 16 and 32, each with two rows "
    "for every place of the map"
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Faces before overlapping ones are taken out.

    Args:
        boxes: (K, 4) float64: left, top, right, bottom, in pixels of what the network was shown.
        landmarks: (K, 5, 2) float64, x and y.
        scores: (K,) float64.
    """

    boxes: Array
    landmarks: Array
    scores: Array

    def __getitem__(self, rows: Any) -> Candidates:
        return Candidates(
            boxes=self.boxes[rows], landmarks=self.landmarks[rows], scores=self.scores[rows]
        )

    @staticmethod
    def joined(parts: Iterable[Candidates]) -> Candidates:
        """The candidates of at least one part, one after the other."""
        listed = list(parts)
        return Candidates(
            boxes=np.concatenate([part.boxes for part in listed]),
            landmarks=np.concatenate([part.landmarks for part in listed]),
            scores=np.concatenate([part.scores for part in listed]),
        )


def by_stride(
    arrays: Sequence[npt.NDArray[Any]], *, height: int, width: int
) -> Mapping[int, Mapping[int, Array]] | str:
    """The outputs of a network sorted by their shapes, as exports list and name them in any order.

    Args:
        arrays: The outputs, (R, C) or (1, R, C).
        height: Rows of what the network was shown, a multiple of 32.
        width: Its columns, a multiple of 32.

    Returns:
        By stride, (R, C) float64 by the number of columns C; or what is wrong, in words: "no landmarks" if
        all is there but these.
    """
    rows = {
        (height // stride) * (width // stride) * _ANCHORS: stride for stride in _STRIDES
    }  # no two strides have as many
    found: dict[int, dict[int, Array]] = {stride: {} for stride in _STRIDES}
    for array in arrays:
        if array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != 2 or array.shape[0] not in rows or array.shape[1] not in _KINDS:
            return f"an output of the shape {np.shape(array)} is none of these"
        maps = found[rows[array.shape[0]]]
        if array.shape[1] in maps:
            return f"there are two outputs of the shape {array.shape}"
        maps[array.shape[1]] = np.asarray(array, np.float64)
    kinds = {frozenset(maps) for maps in found.values()}
    if kinds == {frozenset((_SCORE, _BOX))}:
        return "no landmarks"
    if kinds != {frozenset((_SCORE, _BOX, _LANDMARKS))}:
        return "some are missing"
    scores = np.concatenate([maps[_SCORE].ravel() for maps in found.values()])
    if np.any((scores < -_NEARLY) | (scores > 1 + _NEARLY)):
        return f"the scores are not 0 to 1 but {np.nanmin(scores):g} to {np.nanmax(scores):g}"
    return found


def decode_stride(
    stride: int, columns: int, maps: Mapping[int, Array], *, threshold: float
) -> Candidates:
    """The candidates of one map.

    Each row tells, in strides, how far the sides of a box and the landmarks lie from the upper left corner of
    its place of the map.

    Args:
        stride: Pixels from one place of the map to the next.
        columns: Places in a row of the map.
        maps: As `by_stride` gives them.
        threshold: The least score.

    Returns:
        Those whose score reaches the threshold, with numbers that are finite and not absurd, and boxes of some area.
    """
    rows = np.flatnonzero(maps[_SCORE][:, 0] >= threshold)
    place = rows // _ANCHORS
    corner = stride * np.stack([place % columns, place // columns], axis=1).astype(np.float64)
    sides = stride * maps[_BOX][rows]
    boxes = np.hstack([corner - sides[:, :2], corner + sides[:, 2:]])
    landmarks = corner[:, None] + stride * maps[_LANDMARKS][rows].reshape(-1, 5, 2)
    found = Candidates(
        boxes=boxes, landmarks=landmarks, scores=np.minimum(maps[_SCORE][rows, 0], 1.0)
    )
    is_near = (np.abs(boxes) < _FAR_OFF).all(axis=1) & (np.abs(landmarks) < _FAR_OFF).all(
        axis=(1, 2)
    )
    return found[is_near & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def without_overlaps(found: Candidates, *, threshold: float) -> Candidates:
    """Non-maximum suppression: the best, then the best of those that overlap none before, and so on.

    Args:
        found: Any number of candidates.
        threshold: Intersection over union from which on two boxes show the same face; equal is not above.
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    is_open = np.ones(len(boxes), bool)
    kept = []
    for first in range(len(boxes)):
        if not is_open[first]:
            continue
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[:, :2])
        high = np.minimum(boxes[first, 2:], boxes[:, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        is_open &= shared <= threshold * (areas[first] + areas - shared)
    return found[order[kept]]
