"""A face that was found in an image, before it is aligned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from probefusion.faces.align import ARCFACE_LANDMARKS, similarity_transform
from probefusion.types import FloatArray

__all__ = ["Detector", "Face", "each_once", "largest_face", "overlap"]

_SAME_FACE = 0.5
"""Boxes that share more than this part of the smaller one show the same face."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """One face found in an image.

    Args:
        box: (4,) float32: x and y of the upper left corner, width, height, in pixels. May reach
            beyond the image.
        landmarks: (5, 2) float32, x and y in pixels: of the face put upright the eye on the left, the eye
            on the right, the tip of the nose, the mouth corner on the left, the one on the right.
        score: How sure the detector is, 0 to 1.
    """

    box: FloatArray
    landmarks: FloatArray
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(self.box[2] * self.box[3])

    @property
    def turned(self) -> int:
        """By about how many degrees the face is turned counter-clockwise by its landmarks: 0, 90, 180 or 270.

        `numpy.rot90(image, -turned // 90)` puts it upright, but for what is below 45 degrees. 0 where the
        landmarks lie in one place.
        """
        if not np.isfinite(self.landmarks).all() or not np.ptp(self.landmarks, axis=0).any():
            return 0
        matrix = similarity_transform(self.landmarks, ARCFACE_LANDMARKS)
        return round(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) / 90) % 4 * 90


class Detector(Protocol):
    """What the rest of the package needs of a face detector."""

    def detect(self, image: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """The faces of an (H, W, 3) uint8 RGB image, the largest first; () if there are none."""


def largest_face(faces: Sequence[Face]) -> Face | None:
    """The face to take from a photo of one person: the one with the largest box.

    People in the background are smaller than the person whom a photo was taken of. Equal areas are
    decided by the score.

    Args:
        faces: Faces in any order.

    Returns:
        The largest, or None if there are none.
    """
    return max(faces, key=lambda face: (face.area, face.score), default=None)


def overlap(one: Face, other: Face) -> bool:
    """Whether two boxes share more than half of the smaller one, so that they show the same face."""
    corner = np.maximum(one.box[:2], other.box[:2])
    opposite = np.minimum(one.box[:2] + one.box[2:], other.box[:2] + other.box[2:])
    shared = float(np.prod(np.maximum(opposite - corner, 0)))
    return shared > _SAME_FACE * min(one.area, other.area)


def each_once(faces: Iterable[Face]) -> list[Face]:
    """Of faces in one place the one with the best score.

    Non-maximum suppression by intersection over union leaves a small box inside a large one, a forehead
    beside its face. Two faces that are seen cannot lie so, as the nearer one hides the other.

    Args:
        faces: Faces in any order.

    Returns:
        Those that no face of a better score overlaps, the best score first.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(overlap(face, other) for other in kept):
            kept.append(face)
    return kept
