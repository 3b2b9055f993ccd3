"""Arrays on disk of which only the rows asked for are read: `.npy` files with a checksum of each row.

Files are read and written, not mapped: memory holds what was asked for and nothing else, and a file that is cut
off or on a disk that fails gives an error instead of ending the process.
"""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files.npy import npy_layout
from probefusion.files.reading import in_one_line, reading

__all__ = ["RowFile", "RowWriter", "Rows", "check_of_rows"]

_BYTES_AT_ONCE = 1 << 24

_STEP = "Remove the folder it is in: the images are then embedded anew."

Checks: TypeAlias = npt.NDArray[np.uint32]


class Rows(Protocol):
    """What an array in memory and a `RowFile` have in common."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        """As of an array."""

    def __len__(self) -> int:
        """Rows."""


def check_of_rows(rows: npt.NDArray[Any]) -> Checks:
    """The CRC-32 of each row, of its bytes, type and shape.

    Args:
        rows: (N, ...) of any type.

    Returns:
        (N,) uint32.
    """
    start = zlib.crc32(f"{rows.dtype.str}{rows.shape[1:]}".encode())
    plain = np.ascontiguousarray(rows)
    return np.array([zlib.crc32(row.tobytes(), start) for row in plain], np.uint32)


class RowFile:
    """The rows of an `.npy` file, or some of them in another order.

    Taken as an array it is read whole; indexed by a number, a slice or numbers it is read in part. May be used
    by several threads.

    Args:
        path: The file.
        checks: (N,) uint32, `check_of_rows` of all rows of the file; every row read is compared. None compares
            nothing.

    Attributes:
        path: The file.
        shape: Rows first.
        dtype: Of the numbers.

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If it is no `.npy` file, or has another number of rows than `checks`.
    """

    def __init__(self, path: Path, checks: Checks | None = None) -> None:
        layout = npy_layout(path)
        if not layout.shape or (checks is not None and len(checks) != layout.shape[0]):
            raise FileFormatError(
                f"{in_one_line(path)}: expected {0 if checks is None else len(checks)} rows, got the shape "
                f"{layout.shape}. {_STEP}"
            )
        self.path = path
        self.shape = layout.shape
        self.dtype = layout.dtype
        self._num_stored = layout.shape[0]
        self._offset = layout.offset
        self._checks = checks
        self._rows: npt.NDArray[np.int64] | None = None
        self._stream = _Stream(path)

    def select(self, rows: npt.NDArray[np.int64]) -> RowFile:
        """A view of some rows, in that order.

        Args:
            rows: (K,) int64, numbers of rows of this view.
        """
        part = object.__new__(RowFile)
        part.__dict__.update(self.__dict__)
        part._rows = np.asarray(rows if self._rows is None else self._rows[rows], np.int64)
        part.shape = (len(rows), *self.shape[1:])
        return part

    def __len__(self) -> int:
        """Rows of the view."""
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        """As of an array; what is said of the first axis decides what is read."""
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if first is Ellipsis:
            whole: npt.NDArray[Any] = self[:][index]
            return whole
        wanted = np.arange(len(self))[first]
        numbers = wanted.ravel() if isinstance(wanted, np.ndarray) else np.array([wanted])
        different, places = np.unique(numbers, return_inverse=True)
        stored = different if self._rows is None else self._rows[different]
        rows = self._read(stored)
        if isinstance(first, slice):
            is_in_order = len(places) == len(rows) and np.array_equal(places, np.arange(len(rows)))
            where: Any = slice(None) if is_in_order else places
        else:
            where = places.reshape(np.shape(wanted))
        part: npt.NDArray[Any] = rows[(where, *rest)]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All rows, in memory."""
        del copy  # there is nothing that could be shared
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _read(self, stored: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows of the file by number; neighbours are read together."""
        rows = np.empty((len(stored), *self.shape[1:]), self.dtype)
        size = rows[:1].nbytes
        if not size:
            return rows
        borders = np.flatnonzero(np.diff(stored) != 1) + 1
        for start, end in zip([0, *borders], [*borders, len(stored)], strict=True):
            place = self._offset + int(stored[start]) * size if end > start else 0
            self._stream.read_into(rows[start:end], place)
        if self._checks is not None:
            wrong = np.flatnonzero(check_of_rows(rows) != self._checks[stored])
            if len(wrong):
                raise IntegrityError(
                    f"{in_one_line(self.path)}: row {stored[wrong[0]]} is not what was written (another CRC-32). "
                    f"{_STEP}"
                )
        return rows


class RowWriter:
    """Writes rows into an `.npy` file of known shape; several processes may write other rows of one file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        layout = npy_layout(path)
        self.shape, self.dtype, self._offset = layout
        self._path = path

    @staticmethod
    def create(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Makes a file of zeros that takes no room on the disk until rows are written.

        Args:
            path: The file; replaced if it is there.
            shape: Rows first.
            dtype: Of the numbers.
        """
        kind = np.dtype(dtype)
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.truncate(stream.tell() + int(np.prod(shape, dtype=np.int64)) * kind.itemsize)

    def write(self, start: int, rows: npt.NDArray[Any]) -> Checks:
        """Puts rows on the disk.

        Args:
            start: Number of the first.
            rows: (N, ...) of the file's type and shape.

        Returns:
            (N,) uint32, their `check_of_rows`.

        Raises:
            OSError: If the disk is full.
        """
        plain = np.ascontiguousarray(rows, self.dtype).reshape(len(rows), *self.shape[1:])
        with self._path.open("r+b", buffering=0) as stream:
            stream.seek(self._offset + start * plain[:1].nbytes)
            rest = memoryview(plain.tobytes())
            while rest:
                rest = rest[stream.write(rest) :]
            os.fsync(stream.fileno())
        return check_of_rows(plain)


class _Stream:
    """An open file that threads read from in turn, closed when nothing holds it any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def read_into(self, rows: npt.NDArray[Any], place: int) -> None:
        raw: Any = rows.reshape(-1).view(np.uint8)
        with self._lock, reading(self._path, "a readable file", step=_STEP):
            if self._file is None:
                self._file = self._path.open("rb", buffering=0)
                weakref.finalize(self, self._file.close)
            self._file.seek(place)
            done = 0
            source: Any = self._file
            while done < len(raw):
                count = source.readinto(raw[done : done + _BYTES_AT_ONCE])
                if not count:
                    raise FileFormatError(
                        f"{in_one_line(self._path)}: is cut off after {place + done:,} bytes. {_STEP}"
                    )
                done += count
