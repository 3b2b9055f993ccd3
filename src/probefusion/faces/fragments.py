"""Whether a fragmented MP4 was read to its end: where a fragment's head is damaged, FFmpeg takes it for the end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["has_fragments", "unread_fragments"]

_HEAD = 8
_BLOCK = 1 << 20
_FRAGMENT = b"moof"


def has_fragments(path: Path) -> bool:
    """Whether a file in the form of MP4 is a fragmented one.

    Raises:
        OSError: If the file cannot be read.
    """
    size = path.stat().st_size
    place = 0
    with path.open("rb") as file:
        while place < size and (length := _box_length(file, place, size)) is not None:
            file.seek(place + 4)
            if file.read(4) == _FRAGMENT:
                return True
            place += length
    return False


def unread_fragments(path: Path) -> str | None:
    """Says from where on a fragmented MP4 cannot be read.

    The file's boxes are followed, which reads a few bytes of each.

    Args:
        path: The file.

    Returns:
        What is wrong, in words, or None if the boxes reach to the end or what is behind them holds no fragment.

    Raises:
        OSError: If the file cannot be read.
    """
    size = path.stat().st_size
    place = 0
    with path.open("rb") as file:
        while place < size:
            length = _box_length(file, place, size)
            if length is None:
                return _told(file, place, size)
            if place + length > size:
                return f"cut off: the file ends within a fragment, {place + length - size:,} bytes are missing"
            place += length
    return None


def _box_length(file: BinaryIO, place: int, size: int) -> int | None:
    """Bytes of the box at a place, or None where there is none."""
    file.seek(place)
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        return None
    length, kind = struct.unpack(">I4s", head)
    if not all(32 <= letter < 127 or letter == 0xA9 for letter in kind):
        return None
    if length == 0:
        return size - place
    if length == 1:
        long_form = file.read(_HEAD)
        if len(long_form) < _HEAD:
            return None
        (length,) = struct.unpack(">Q", long_form)
        return length if length >= 2 * _HEAD else None
    return length if length >= _HEAD else None


def _told(file: BinaryIO, place: int, size: int) -> str | None:
    num_fragments, end = 0, b""
    file.seek(place)
    while block := file.read(_BLOCK):
        num_fragments += (end + block).count(_FRAGMENT)
        end = block[-(len(_FRAGMENT) - 1) :]
    if not num_fragments:
        return None
    return (
        f"damaged: from byte {place:,} of {size:,} on the file could not be read, about {num_fragments} more "
        f"fragment{'s follow' if num_fragments != 1 else ' follows'}"
    )
