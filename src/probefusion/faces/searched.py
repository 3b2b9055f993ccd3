"""What goes into a face detector, and in which order its faces come out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, ShapeError
from probefusion.faces.face import Face

__all__ = ["checked_image", "largest_first"]


def checked_image(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The image, if it is one.

    Raises:
        DtypeError: If it is not uint8.
        ShapeError: If it is not (H, W, 3) or has no pixels.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise DtypeError(f"image: expected uint8 pixels 0 to 255, got {image.dtype}.")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ShapeError(f"image: expected (H, W, 3) with pixels, got {image.shape}.")
    return image


def largest_first(faces: Iterable[Face]) -> tuple[Face, ...]:
    """The faces, the largest box first, equal ones by falling score."""
    return tuple(sorted(faces, key=lambda face: (-face.area, -face.score)))
