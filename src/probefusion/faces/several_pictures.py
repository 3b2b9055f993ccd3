"""How many pictures an image file holds, read off its structure: pages, frames of an animation."""

from __future__ import annotations

import re
import struct

__all__ = ["several_pictures"]

_MOST_PAGES = 10_000
_REDUCED, _MASK = 0x1, 0x4
"""Bits of the TIFF tag NewSubfileType: a smaller copy of another page, a transparency mask."""


def several_pictures(data: bytes, kind: str | None) -> str | None:
    """Why one picture cannot stand for a file, or None if it holds one.

    Previews and masks beside one page of a TIFF are not counted, nor is what a JPEG carries behind its picture
    (the video of a motion photo, a gain map).

    Args:
        data: The file's bytes.
        kind: As `image_kind` gives it; "TIFF", "WebP", "PNG" and binary "PNM" are looked at.
    """
    try:
        if kind == "TIFF":
            return _tiff(data)
        if kind == "WebP":
            return moving(_num_webp(data))
        if kind == "PNG":
            return moving(_num_png(data))
        if kind == "PNM":
            return moving(_num_pnm(data))
    except (struct.error, IndexError):
        return None  # cut off or damaged, which is told when it is decoded
    return None


def moving(num_frames: int) -> str | None:
    """Why a picture of so many frames is not read, or None for one frame."""
    if num_frames < 2:
        return None
    return (
        f"a moving picture of {num_frames} frames, of which one only could be taken: give it as a video "
        f"(.mp4), or each frame as a file of its own"
    )


def _tiff(data: bytes) -> str | None:
    order = "<" if data[:1] == b"I" else ">"
    offset = int(struct.unpack_from(f"{order}I", data, 4)[0])
    seen: dict[int, bool] = {}
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        count = int(struct.unpack_from(f"{order}H", data, offset)[0])
        seen[offset] = _is_page(data, order, offset + 2, count)
        offset = int(struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)[0])
    pages = list(seen.values())
    if sum(pages) > 1:
        return (
            f"a TIFF of {sum(pages)} pages, of which one only could be taken: save each page as a file of "
            f"its own"
        )
    if any(pages) and not pages[0]:
        return "a TIFF whose first page is a preview: save the picture itself as a file of its own"
    return None


def _is_page(data: bytes, order: str, start: int, count: int) -> bool:
    """Whether a TIFF's directory describes a page, and no smaller copy or mask."""
    for entry in range(start, start + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (254, 255) and kind in (3, 4):
            layout = f"{order}{'H' if kind == 3 else 'I'}"
            value = int(struct.unpack_from(layout, data, entry + 8)[0])
            return not value & (_REDUCED | _MASK) if tag == 254 else value != 2
    return True


def _num_webp(data: bytes) -> int:
    if data[12:16] != b"VP8X" or not data[20] & 0x02:
        return 1
    offset, found = 12, 0
    while offset + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, offset)
        found += name == b"ANMF"
        offset += 8 + length + length % 2
    return found


def _num_png(data: bytes) -> int:
    offset = 8
    while offset + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        if name == b"acTL":
            return int(struct.unpack_from(">I", data, offset + 8)[0])
        if name == b"IDAT":
            break
        offset += 12 + int(length)
    return 1


_PNM_HEADER = re.compile(rb"P([56])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3 + rb"\s")


def _num_pnm(data: bytes) -> int:
    offset = found = 0
    while header := _PNM_HEADER.match(data, offset):
        kind, width, height, maximum = (int(field) for field in header.groups())
        num_bytes = width * height * (3 if kind == 6 else 1) * (2 if maximum > 255 else 1)
        offset = header.end() + num_bytes
        found += 1
    return max(1, found)
