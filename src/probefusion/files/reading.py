"""Reading files that nobody vouches for: what they say of their size is checked, and errors get a type."""

from __future__ import annotations

import os
import struct
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from probefusion.errors import FileFormatError, ProbeFusionError, in_one_line
from probefusion.files.paths import check_file

__all__ = [
    "READ_ERRORS",
    "check_declared_bytes",
    "in_one_line",
    "open_zip",
    "read_bytes",
    "reading",
    "reading_step",
    "reason_of",
]

_SMALL_BYTES = 256 * 1024 * 1024
"""So much is allocated for any file that asks for it."""

_LARGEST_RATIO = 100
"""Larger files are refused if they claim to hold more than so many times their size. Embeddings hardly
compress; what does so much better is no set of embeddings."""

READ_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,  # sizes beyond what C can count
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # an encrypted member, an unknown compression, nesting without end
    SyntaxError,  # the header of an .npy file is Python
    TypeError,
    ValueError,  # not UTF-8, no JSON, ...
    struct.error,
    tokenize.TokenError,
    BadZipFile,
    zlib.error,
)
"""What the readers of NumPy, zipfile, json, safetensors, h5py and pyarrow raise for files that are not
what they should be: hostile bytes reach every branch of theirs."""


@contextmanager
def reading(
    origin: str | Path, expected: str, *, step: str = "", also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Gives whatever goes wrong with a file inside the block one type and one line.

    Args:
        origin: The file, as messages shall name it.
        expected: What it should be, with its article: "an .npz archive".
        step: What to do about it, as a sentence.
        also: Errors of a library that are of none of Python's own types.

    Raises:
        FileFormatError: For every error of reading; errors of our own pass as they are.
    """
    try:
        yield
    except ProbeFusionError:
        raise
    except (*READ_ERRORS, *also) as error:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected {expected}, could not read it ({reason_of(error)})."
            f"{reading_step(step)}"
        ) from error


def reading_step(step: str) -> str:
    """The sentence with a space before it, or nothing."""
    return f" {step}" if step else ""


def read_bytes(path: str | Path, *, at_most: int, name: str = "file") -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        at_most: Larger files are refused unread.
        name: What it is called in messages.

    Raises:
        MissingFileError: If it does not exist.
        FileFormatError: If it is a folder, a pipe or a device, larger than `at_most`, or unreadable.
    """
    path = check_file(path, name=name)
    with reading(path, "a readable file"), path.open("rb") as stream:
        data = stream.read(at_most + 1)
    if len(data) > at_most:
        raise FileFormatError(
            f"{in_one_line(path)}: expected at most {at_most:,} bytes, the file has more. Check that it is the "
            f"right one."
        )
    return data


def open_zip(path: str | Path, *, expected: str = "a zip archive", step: str = "") -> ZipFile:
    """Opens a zip archive for reading; to be closed.

    Args:
        path: The file.
        expected: What it should be, for messages.
        step: What to do about a wrong one, as a sentence.

    Raises:
        MissingFileError: If it does not exist.
        FileFormatError: If it is none.
    """
    path = check_file(path)
    with reading(repr(str(path)), expected, step=step):
        return ZipFile(path)


def check_declared_bytes(
    declared: int, origin: str | Path, *, stored: int, at_once: bool = True
) -> None:
    """Refuses a file that claims to hold far more than its size lets expect, before memory is taken.

    Args:
        declared: Bytes that its content would need.
        origin: The file, for messages.
        stored: Bytes that the file has.
        at_once: Whether all of it is to be held in memory.

    Raises:
        FileFormatError: If it claims too much, or more than this machine's memory.
    """
    if declared > max(_SMALL_BYTES, _LARGEST_RATIO * stored):
        raise FileFormatError(
            f"{in_one_line(origin)}: claims to hold {declared:,} bytes in a file of {stored:,}. It is damaged, or "
            f"made to exhaust memory; write it again."
        )
    memory = _memory_bytes() if at_once else None
    if memory is not None and declared > memory:
        raise FileFormatError(
            f"{in_one_line(origin)}: holds {declared:,} bytes, this machine has {memory:,} of memory. Split it."
        )


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def reason_of(error: BaseException) -> str:
    """What went wrong, in a few words on one line."""
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
