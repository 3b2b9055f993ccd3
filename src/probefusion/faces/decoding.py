"""The bytes of an image file to RGB pixels, or the reason why there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.extras import import_cv2, quiet_cv2
from probefusion.faces.image_header import image_kind, pixel_size, png_damage, stated_maximum
from probefusion.faces.jpeg_damage import jpeg_damage
from probefusion.faces.other_formats import OTHER_KINDS, decode_other
from probefusion.faces.several_pictures import several_pictures
from probefusion.faces.tiff_layout import has_alpha, is_negative, unread_layout
from probefusion.files.paths import pointer_oid
from probefusion.files.reading import in_one_line

__all__ = ["MAX_PIXELS", "decode_image", "decode_or_reason"]

MAX_PIXELS = 100_000_000
"""Images with more pixels than this are refused before they are decoded."""

_DARKEST_FULL_RANGE = 1 << 14
"""16-bit images whose values all lie below this may hold values of fewer bits."""

_BINARY_PNM = (b"P5", b"P6")
"""PNM files whose values the decoder leaves as they are, whatever the largest one is that they state."""

Image = npt.NDArray[np.uint8]


def decode_image(data: bytes, *, source: str = "image") -> Image:
    """Decodes the bytes of an image file.

    Grey images become colour ones, more than 8 bits per channel become 8, transparency is dropped, and
    the rotation that a camera noted (EXIF) is applied. Files with several pictures (pages of a TIFF, frames
    of an animation, bursts) are refused; what a JPEG carries behind its picture (motion photos) is passed over.

    Args:
        data: The file's bytes: JPEG, PNG, BMP, WebP, TIFF or PNM; with the extra `heif` also HEIC, AVIF,
            GIF and JPEG 2000. The name does not matter.
        source: Its name, for messages.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        FileFormatError: If it is no such image, is damaged or cut off, has more than `MAX_PIXELS`
            pixels, holds several pictures or 16-bit values so small that they look like values of fewer bits; or
            if it is a TIFF that is transparent anywhere, or of a layout that would be read in wrong colours.
        MissingExtraError: If OpenCV or simplejpeg is not installed.
    """
    result = decode_or_reason(data)
    if isinstance(result, str):
        raise FileFormatError(f"{in_one_line(source)}: {result}")
    return result


def decode_or_reason(data: bytes) -> Image | str:
    """As `decode_image`, with the reason as text where there is no image."""
    if not data:
        return "empty file"
    kind = image_kind(data[:64])
    if kind in OTHER_KINDS:
        return decode_other(data, str(kind), MAX_PIXELS)
    oid = pointer_oid(data)
    if oid is not None:
        return (
            f"a Git LFS pointer, not the image itself, whose SHA-256 is {oid}: run git lfs pull in a clone of "
            f"the repository that it comes from"
        )
    size = pixel_size(data)
    if size is None:
        return (
            "no JPEG, PNG, BMP, WebP, TIFF, PNM, HEIC, AVIF, GIF or JPEG 2000 image, or its header "
            "is damaged"
        )
    width, height = size
    if width < 1 or height < 1:
        return f"damaged header: {width}x{height} pixels"
    if width * height > MAX_PIXELS:
        return f"{width}x{height} pixels, expected at most {MAX_PIXELS:,} in all"
    find_damage = {"JPEG": jpeg_damage, "PNG": png_damage}.get(str(kind))
    damage = find_damage(data) if find_damage is not None else None
    if damage is not None:
        return f"damaged: {damage}"
    several = several_pictures(data, kind)
    if several is not None:
        return several
    unread = unread_layout(data) if kind == "TIFF" else None
    if unread is not None:
        return unread
    cv2 = import_cv2("reading images")
    try:
        with quiet_cv2(cv2):
            raw = np.frombuffer(data, np.uint8)
            pixels = cv2.imdecode(raw, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
            if kind == "TIFF" and has_alpha(data) and _is_see_through(cv2, raw):
                return "a TIFF with transparency, which darkens its colours: save it as PNG, or without"
    except cv2.error as error:
        return f"could not be decoded ({' '.join(str(error).split())})"
    if pixels is None:
        return "damaged or of an unknown kind: could not be decoded"
    if kind == "TIFF" and pixels.dtype == np.uint16 and is_negative(data):
        pixels = 65535 - pixels  # of 8 bits the decoder has done it
    shallow = _eight_bits(pixels, data)
    if isinstance(shallow, str):
        return shallow
    image: Image = cv2.cvtColor(shallow, cv2.COLOR_BGR2RGB)
    return image


def _is_see_through(cv2: Any, raw: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture that can be transparent is so anywhere."""
    pixels = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
        return False
    return bool(pixels[..., 3].min() < np.iinfo(pixels.dtype).max)


def _eight_bits(pixels: npt.NDArray[Any], data: bytes) -> Image | str:
    """Pixels of 8 bits; those of 16 are scaled from the range that the file states, or from all 16 bits."""
    if pixels.dtype == np.uint8:
        most = stated_maximum(data) if data[:2] in _BINARY_PNM else None
        if most is None or most >= 255 or int(pixels.max()) > most:
            return pixels
        brightened: Image = np.round(pixels * (255 / most)).astype(np.uint8)
        return brightened
    if pixels.dtype != np.uint16:
        return f"pixels of the type {pixels.dtype}, expected 8 or 16 bits: convert it to 8 bits"
    largest = int(pixels.max())
    stated = stated_maximum(data)
    if stated is not None and largest <= stated < 65535:
        scaled: Image = np.round(pixels * (255 / stated)).astype(np.uint8)
        return scaled
    if largest < _DARKEST_FULL_RANGE:
        bits = next(bits for bits in (8, 10, 12, 14) if largest < 1 << bits)
        return (
            f"16-bit pixels of at most {largest}, of 65535: values of {bits} bits, or nearly black. Multiply "
            f"them by {1 << (16 - bits)} and save again, or save 8 bits"
        )
    shallow: Image = (pixels >> 8).astype(np.uint8)
    return shallow
