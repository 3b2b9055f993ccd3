"""Aligned crops as small JPEG pictures, for the eye."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.extras import import_cv2

__all__ = ["encode_chip", "encode_jpeg"]

_JPEG_QUALITY = 85
_CHIP_SIDE = 160
"""Pixels; larger crops are scaled down."""


def encode_jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """An (H, W, 3) uint8 RGB image as JPEG bytes.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    cv2 = import_cv2("storing face thumbnails")
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    encoded: bytes = data.tobytes()
    return encoded


def encode_chip(crop: npt.NDArray[np.uint8]) -> bytes:
    """An aligned crop (S, S, 3) uint8 RGB as a small picture, of 160 pixels a side at most: 4 to 16 KB.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    if crop.shape[0] > _CHIP_SIDE:
        cv2 = import_cv2("storing face thumbnails")
        crop = cv2.resize(crop, (_CHIP_SIDE, _CHIP_SIDE), interpolation=cv2.INTER_AREA)
    return encode_jpeg(crop)
