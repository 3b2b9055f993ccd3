"""Pixel sizes from the first bytes of image files, so that absurd ones are never decoded."""

from __future__ import annotations

import re
import struct
import zlib

__all__ = ["image_kind", "pixel_size", "png_damage", "stated_maximum"]

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers whose segment states the size: start of frame of every coding process."""
_PNM_NUMBER = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
"""A number of a PNM header, after blanks and comments; blank by blank, as many in a row must not be tried in
every grouping."""
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a segment."""


def image_kind(head: bytes) -> str | None:
    """What the first bytes of a file say that it is, whatever its name.

    Args:
        head: The first 64 bytes or more.

    Returns:
        "JPEG", "PNG", "BMP", "WebP", "TIFF", "PNM", "GIF", "HEIC", "AVIF" or "JPEG 2000"; None if it is no
        image of these.
    """
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6]\s", head):
        return "PNM"
    if head.startswith(b"BM") and head[14:18] in (
        b"\x0c\0\0\0",
        b"\x28\0\0\0",
        b"\x6c\0\0\0",
        b"\x7c\0\0\0",
    ):
        return "BMP"
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIC"
    return None


def stated_maximum(data: bytes) -> int | None:
    """The largest value that the pixels of a PNG or PNM file can have, where it states one.

    Cameras of 10 or 12 bits write 16-bit files; PNM always says up to which value, PNG may.
    """
    if data.startswith(b"\x89PNG"):
        offset = 8
        while offset + 12 <= len(data):
            length, name = struct.unpack_from(">I4s", data, offset)
            if name == b"sBIT" and 1 <= length <= 4:
                return int((1 << max(data[offset + 8 : offset + 8 + length])) - 1)
            if name == b"IDAT":
                return None
            offset += 12 + int(length)
        return None
    fields = re.match(rb"P[2356]" + _PNM_NUMBER * 3 + rb"\s", data)
    return int(fields.group(3)) if fields else None


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


def png_damage(data: bytes) -> str | None:
    """Why a PNG cannot be trusted: it has no end, or a part does not have the checksum that it states.

    Some decoders fill the missing part of a photo with grey and say nothing, others ask for as much memory
    as a damaged PNG claims to have left.
    """
    offset = 8
    while offset + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + int(length)
        if end + 4 > len(data):
            break
        is_shown = name[:1].isupper()  # parts without which there is no picture
        if (
            is_shown
            and zlib.crc32(data[offset + 4 : end]).to_bytes(4, "big") != data[end : end + 4]
        ):
            return f"the checksum of the part {name.decode('latin-1')} does not match"
        if name == b"IEND":
            return None
        offset = end + 4
    return "the end of the file is missing"


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
    fields = re.match(rb"P[1-6]" + _PNM_NUMBER * 2 + rb"\s", data)
    return (int(fields.group(1)), int(fields.group(2))) if fields else None
