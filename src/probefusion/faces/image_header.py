"""Pixel sizes from the first bytes of image files, so that absurd ones are never decoded."""

from __future__ import annotations

import re
import struct

__all__ = ["is_complete", "pixel_size"]

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers whose segment states the size: start of frame of every coding process."""
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a segment."""


def pixel_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header of an image file states.

    Args:
        data: The file's bytes. JPEG, PNG, BMP, WebP, TIFF and PNM (.ppm, .pgm, .pbm) are known.

    Returns:
        Width and height in pixels, before any rotation, or None if it is no such file or its header
        is damaged.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _unpack(">II", data, 16)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
        if re.match(rb"P[1-6]\s", data):
            return _pnm(data)
    except (struct.error, IndexError):
        return None
    return None


def is_complete(data: bytes) -> bool:
    """Whether a file has its end, as far as its format marks one (JPEG, PNG).

    Some decoders fill the missing part of a cut-off photo with grey and say nothing, others ask for
    as much memory as a damaged PNG claims to have left.
    """
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if data.startswith(b"\x89PNG"):
        return _png_ends(data)
    return True


def _png_ends(data: bytes) -> bool:
    """Whether the chunks follow each other inside the file up to the closing one."""
    offset = 8
    while offset + 12 <= len(data):
        if data[offset + 4 : offset + 8] == b"IEND":
            return True
        offset += 12 + int(struct.unpack_from(">I", data, offset)[0])
    return False


def _unpack(layout: str, data: bytes, offset: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, data, offset)
    return int(first), int(second)


def _jpeg(data: bytes) -> tuple[int, int] | None:
    offset = 2
    while offset < len(data):
        if data[offset] != 0xFF:
            return None
        marker = data[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
        elif marker in _JPEG_BARE:
            offset += 2
        elif marker in _JPEG_SIZES:
            height, width = _unpack(">HH", data, offset + 5)
            return width, height
        elif marker in (0xD9, 0xDA):  # the picture began, or ended, without a size
            return None
        else:
            offset += 2 + struct.unpack_from(">H", data, offset + 2)[0]
    return None


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        return _unpack("<HH", data, 18)
    width, height = _unpack("<ii", data, 18)
    return abs(width), abs(height)  # a negative height stores the rows from top to bottom


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = _unpack("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int(struct.unpack_from("<I", data, 21)[0])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return (
            int.from_bytes(data[24:27], "little") + 1,
            int.from_bytes(data[27:30], "little") + 1,
        )
    return None


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:1] == b"I" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, start)[0]
    sizes: dict[int, int] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = _unpack(f"{order}HH", data, entry)
        if tag in (256, 257) and kind in (3, 4):
            layout = f"{order}{'H' if kind == 3 else 'I'}"
            sizes[tag] = int(struct.unpack_from(layout, data, entry + 8)[0])
    return (sizes[256], sizes[257]) if len(sizes) == 2 else None


def _pnm(data: bytes) -> tuple[int, int] | None:
    fields = re.match(rb"P[1-6]((?:\s+|#[^\n]*\n)+)(\d{1,9})((?:\s+|#[^\n]*\n)+)(\d{1,9})\s", data)
    return (int(fields.group(2)), int(fields.group(4))) if fields else None
