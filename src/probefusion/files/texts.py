"""Texts of files as NumPy arrays, which give every text the room of the longest one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, in_one_line

__all__ = ["check_text_room", "text_array"]

_SMALL_BYTES = 256 * 1024 * 1024
_BYTES_OF_A_CHARACTER = 4
_LARGEST_RATIO = 16
"""The longest text may have so many times the characters of a middling one."""


def text_array(texts: Sequence[str], name: str, origin: str | Path) -> npt.NDArray[np.str_]:
    """(n,) texts.

    Args:
        texts: The texts.
        name: What they are, for messages.
        origin: The file, for messages.

    Raises:
        FileFormatError: As for `check_text_room`.
    """
    lengths = [len(text) for text in texts]
    check_text_room(len(texts), max(lengths, default=0), sum(lengths), name=name, origin=origin)
    return np.array(texts, np.str_)


def check_text_room(count: int, longest: int, total: int, *, name: str, origin: str | Path) -> None:
    """Refuses texts of which one is so much longer than the others that the array would fill the memory.

    Args:
        count: How many there are.
        longest: Characters of the longest.
        total: Characters of all.
        name: What they are, for messages.
        origin: The file, for messages.

    Raises:
        FileFormatError: If it is.
    """
    room = count * longest * _BYTES_OF_A_CHARACTER
    if room > max(_SMALL_BYTES, _LARGEST_RATIO * total * _BYTES_OF_A_CHARACTER):
        raise FileFormatError(
            f"{in_one_line(origin)}: {name}: {count:,} texts of up to {longest:,} characters, {total // max(1, count)} "
            f"on average, would take {room:,} bytes. Is one of them no name? Shorten it."
        )
