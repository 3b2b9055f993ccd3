"""Formats that OpenCV does not read everywhere: HEIC, AVIF, GIF and JPEG 2000, through Pillow."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from probefusion.errors import MissingExtraError
from probefusion.extras import import_extra

__all__ = ["OTHER_KINDS", "decode_other"]

OTHER_KINDS = frozenset({"HEIC", "AVIF", "GIF", "JPEG 2000"})
"""Kinds of `image_kind` that are read here."""


def decode_other(data: bytes, kind: str, max_pixels: int) -> npt.NDArray[np.uint8] | str:
    """Decodes an image, turned upright and without transparency.

    Args:
        data: The file's bytes.
        kind: One of `OTHER_KINDS`.
        max_pixels: Images of more pixels are refused before they are decoded.

    Returns:
        (H, W, 3) uint8 RGB, or the reason why there is none; that may be a missing package.
    """
    purpose = f"reading {kind} images"
    try:
        import_extra("PIL", extra="heif", purpose=purpose)
        if kind == "HEIC":
            import_extra("pi_heif", extra="heif", purpose=purpose).register_heif_opener()
        from PIL import Image, ImageOps, UnidentifiedImageError, features
    except MissingExtraError as error:
        return str(error)
    if kind == "AVIF" and not features.check("avif"):
        return str(MissingExtraError("PIL (11.3 or later)", "heif", purpose))
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > max_pixels:
                return f"{width}x{height} pixels, expected at most {max_pixels:,} in all"
            num_frames = getattr(image, "n_frames", 1)
            if num_frames > 1 and kind == "HEIC":
                return (
                    f"a HEIC file of {num_frames} pictures, of which one only could be taken: save each as a "
                    f"file of its own"
                )
            if num_frames > 1:
                return f"a moving picture of {num_frames} frames: give its own path, as a video"
            upright = ImageOps.exif_transpose(image)
            return np.array(upright.convert("RGB"))
    except UnidentifiedImageError:
        return f"damaged or of an unknown kind of {kind}: could not be decoded"
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError) as error:
        return f"damaged {kind} image: could not be decoded ({error})"
    except Image.DecompressionBombError:
        return f"more than {max_pixels:,} pixels"
