"""Face detection with five landmarks: YuNet through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, DtypeError, FileFormatError, ShapeError
from probefusion.extras import import_cv2, quiet_cv2
from probefusion.files import check_file
from probefusion.types import FloatArray

__all__ = ["Detector", "Face", "YuNetDetector", "largest_face"]

_NMS_THRESHOLD = 0.3
_TOP_K = 5000

_SMALLEST_LEVEL = 320
"""Longest side of the smallest copy of an image that is searched, in pixels."""
_CLEAR_FACE = 96
"""Faces at least this large, in pixels of a smaller copy, are taken from there."""
_SAME_FACE = 0.5
"""Boxes that share more than this part of the smaller one show the same face."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """One face found in an image.

    Args:
        box: (4,) float32: x and y of the upper left corner, width, height, in pixels. May reach
            beyond the image.
        landmarks: (5, 2) float32, x and y in pixels: the eye on the image's left, the eye on its
            right, the tip of the nose, the mouth corner on the image's left, the one on its right.
        score: How sure the detector is, 0 to 1.
    """

    box: FloatArray
    landmarks: FloatArray
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(self.box[2] * self.box[3])


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


class YuNetDetector:
    """YuNet, a small face detector, run by OpenCV on the CPU.

    The network knows faces of about 10 to 300 pixels; larger ones it misses, or sets their
    landmarks wrongly. So an image is searched in several copies, each half as large as the one
    before, down to 320 pixels, and a face is taken from the smallest copy that shows it clearly.

    An instance holds OpenCV's network, which is set to the size of each image: use one per thread.

    Args:
        model_path: The YuNet `.onnx` file.
        score_threshold: Faces below this score are left out, 0 to 1.
        max_side: Longest side of the largest copy that is searched, in pixels; larger images are
            scaled down to it. Landmarks are those of the image as it was given.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no YuNet model.
        ConfigError: If a setting is out of range.
        MissingExtraError: If OpenCV is not installed.
    """

    def __init__(
        self, model_path: str | Path, *, score_threshold: float = 0.6, max_side: int = 1280
    ) -> None:
        if not 0 <= score_threshold <= 1:
            raise ConfigError(f"score_threshold: expected 0 to 1, got {score_threshold}.")
        if max_side < 32:
            raise ConfigError(f"max_side: expected at least 32 pixels, got {max_side}.")
        path = check_file(model_path, name="detector")
        self._opened = (path.absolute(), score_threshold, max_side)
        self._cv2 = import_cv2("detecting faces")
        self._max_side = max_side
        try:
            with quiet_cv2(self._cv2):
                self._network: Any = self._cv2.FaceDetectorYN.create(
                    str(path), "", (64, 64), score_threshold, _NMS_THRESHOLD, _TOP_K
                )
                self._network.detect(np.zeros((64, 64, 3), np.uint8))
        except self._cv2.error as error:
            raise FileFormatError(
                f"detector {str(path)!r}: expected a YuNet .onnx model, OpenCV "
                f"{self._cv2.__version__} cannot run it ({' '.join(str(error).split())})."
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the file."""
        return _open_copy, self._opened

    def detect(self, image: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """Finds the faces of an image.

        Args:
            image: (H, W, 3) uint8 RGB; not changed.

        Returns:
            The faces, largest box first, equal ones by falling score; () if there are none.

        Raises:
            DtypeError: If the image is not uint8.
            ShapeError: If it is not (H, W, 3) or has no pixels.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8:
            raise DtypeError(f"image: expected uint8 pixels 0 to 255, got {image.dtype}.")
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ShapeError(f"image: expected (H, W, 3) with pixels, got {image.shape}.")
        side = min(self._max_side, max(image.shape[:2]))
        levels = [side]
        while levels[-1] // 2 >= _SMALLEST_LEVEL:
            levels.append(levels[-1] // 2)
        found: list[Face] = []
        for level in reversed(levels):
            smallest = 0.0 if level == side else _CLEAR_FACE * max(image.shape[:2]) / level
            found += [
                face
                for face in self._search(image, level)
                if max(face.box[2:]) >= smallest and not any(_overlap(face, it) for it in found)
            ]
        return tuple(sorted(found, key=lambda face: (-face.area, -face.score)))

    def _search(self, image: npt.NDArray[np.uint8], side: int) -> list[Face]:
        """The faces seen in a copy of the image with this longest side, in the image's pixels."""
        height, width = image.shape[:2]
        factor = side / max(height, width)
        if factor < 1:
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            image = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        seen_height, seen_width = image.shape[:2]
        self._network.setInputSize((seen_width, seen_height))
        with quiet_cv2(self._cv2):
            _, rows = self._network.detect(np.ascontiguousarray(image[..., ::-1]))
        if rows is None:
            return []
        scale = np.array([width / seen_width, height / seen_height], np.float32)
        return [
            Face(
                box=np.concatenate([row[0:2] * scale, row[2:4] * scale]),
                landmarks=row[4:14].reshape(5, 2) * scale,
                score=float(row[14]),
            )
            for row in rows.astype(np.float32)
            if np.isfinite(row).all()
        ]


def _open_copy(path: Path, score_threshold: float, max_side: int) -> YuNetDetector:
    return YuNetDetector(path, score_threshold=score_threshold, max_side=max_side)


def _overlap(one: Face, other: Face) -> bool:
    corner = np.maximum(one.box[:2], other.box[:2])
    opposite = np.minimum(one.box[:2] + one.box[2:], other.box[:2] + other.box[2:])
    shared = float(np.prod(np.maximum(opposite - corner, 0)))
    return shared > _SAME_FACE * min(one.area, other.area)
