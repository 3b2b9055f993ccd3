"""NumPy's files, `.npy` and `.npz`, read without trusting what they say of themselves.

Nothing is unpickled, no array is allocated before its declared size is known to fit the file, and
every error is a `FileFormatError` that names the file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.files.paths import check_file
from probefusion.files.reading import check_declared_bytes, in_one_line, reading

__all__ = [
    "NpyHeader",
    "NpyLayout",
    "NpzFile",
    "map_npy",
    "npy_layout",
    "open_npz",
    "read_npy",
    "read_npy_header",
]

_NPY = "an .npy file of one plain array"
_NPZ = "an .npz archive of plain arrays"
_BLOCK = 1 << 20
_END_BYTES = 22
"""Length of the record at the end of a zip archive, without its comment."""
_ENCRYPTED = 0x1
_KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NpyHeader(NamedTuple):
    """What an `.npy` file says of its array."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpyLayout(NamedTuple):
    """Where the numbers of an `.npy` file lie.

    Attributes:
        shape: Of the array, in C order.
        dtype: Of the array.
        offset: Bytes before the first number.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int


def npy_layout(path: str | Path) -> NpyLayout:
    """What the header of an `.npy` file says, checked against the length of the file; no number is read.

    Raises:
        MissingFileError: As for `read_npy`.
        FileFormatError: As for `read_npy`, or if its rows lie in Fortran order.
    """
    header, offset = _checked_header(path)
    if header.is_fortran:
        raise FileFormatError(
            f"{in_one_line(path)}: expected an array in C order, got Fortran order. Write it again."
        )
    return NpyLayout(header.shape, header.dtype, offset)


def read_npy(path: str | Path) -> npt.NDArray[Any]:
    """Reads an `.npy` file.

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If it is no such file, is cut off or longer than its header says, holds
            Python objects or records, or does not fit into memory.
    """
    path = check_file(path, name="file")
    with reading(path, _NPY), path.open("rb") as stream:
        return _read_array(stream, path.stat().st_size, str(path))


def map_npy(path: str | Path) -> npt.NDArray[Any]:
    """An `.npy` file, mapped for reading: only what is used is read from the disk.

    Raises:
        MissingFileError, FileFormatError: As for `read_npy`.
    """
    header, offset = _checked_header(path)
    with reading(path, _NPY):
        if header.num_bytes == 0:
            return np.zeros(header.shape, header.dtype)
        return np.memmap(
            path,
            dtype=header.dtype,
            mode="r",
            offset=offset,
            shape=header.shape,
            order="F" if header.is_fortran else "C",
        )


def read_npy_header(stream: IO[bytes], origin: str, *, size: int) -> NpyHeader:
    """The header of an `.npy` file; the stream then stands at the first value.

    Args:
        stream: At the file's beginning.
        origin: The file's name, for messages.
        size: Bytes of the file.

    Raises:
        FileFormatError: If it is no such file, or its length is not what its header says.
    """
    with reading(origin, _NPY):
        header = _read_header(stream, origin)
        _check_length(header, size - stream.tell(), origin)
        return header


def _checked_header(path: str | Path) -> tuple[NpyHeader, int]:
    path = check_file(path, name="file")
    with path.open("rb") as stream:
        header = read_npy_header(stream, str(path), size=path.stat().st_size)
        return header, stream.tell()


class NpzFile:
    """An open `.npz` file, see `open_npz`.

    Attributes:
        names: Names of its arrays.
        comment: The comment of the archive.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self._path = path
        self.comment = archive.comment
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise FileFormatError(
                    f"{in_one_line(path)}: holds two arrays named {name!r}, expected one. Write it again."
                )
            self._members[name] = member
        self.names = tuple(self._members)
        check_declared_bytes(
            sum(member.file_size for member in self._members.values()),
            path,
            stored=path.stat().st_size,
        )

    def read(self, name: str) -> npt.NDArray[Any]:
        """One array.

        Raises:
            FileFormatError: If it is damaged, encrypted, or no plain array.
        """
        origin = f"{in_one_line(self._path)}: {in_one_line(name)}"
        member = self._members[name]
        with reading(origin, "a plain array"):
            if member.flag_bits & _ENCRYPTED:
                raise FileFormatError(
                    f"{in_one_line(origin)}: is encrypted, expected an archive without a password."
                )
            if member.compress_type not in _KNOWN_COMPRESSION:
                raise FileFormatError(
                    f"{in_one_line(origin)}: is compressed by an unknown method ({member.compress_type}). Write "
                    f"it with numpy.savez or numpy.savez_compressed."
                )
            with self._archive.open(member) as stream:
                array = _read_array(stream, member.file_size, origin)
                if stream.read(1):  # also makes zipfile compare the checksum
                    raise FileFormatError(f"{in_one_line(origin)}: is longer than its header says.")
            return array

    def read_all(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        return {name: self.read(name) for name in self.names}


@contextmanager
def open_npz(path: str | Path) -> Iterator[NpzFile]:
    """Opens an `.npz` file.

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If it is no such archive, or holds an array twice, or claims to hold far more
            than it can.
    """
    path = check_file(path, name="file")
    with path.open("rb") as stream:
        if stream.read(6) == b"\x93NUMPY":
            raise FileFormatError(
                f"{path.name}: expected an .npz archive, got a single .npy array."
            )
    with reading(path, _NPZ, step="Write it again."), zipfile.ZipFile(path) as archive:
        _check_end(path, archive.comment)
        yield NpzFile(archive, path)


def _check_end(path: Path, comment: bytes) -> None:
    """Refuses an archive that goes on behind its end, or whose comment is cut off."""
    with path.open("rb") as stream:
        stream.seek(-len(comment) - _END_BYTES, 2)
        end = stream.read(_END_BYTES)
    if end[:4] != b"PK\5\6" or int.from_bytes(end[-2:], "little") != len(comment):
        raise FileFormatError(
            f"{in_one_line(path)}: is cut off, or goes on behind its end. Write it again."
        )


def _read_array(stream: IO[bytes], size: int, origin: str) -> npt.NDArray[Any]:
    """An array from a stream of `size` bytes, filled in place."""
    header = _read_header(stream, origin)
    _check_length(header, size - stream.tell(), origin)
    check_declared_bytes(header.num_bytes, origin, stored=size)
    flat = np.empty(math.prod(header.shape), header.dtype)
    raw: Any = flat.view(np.uint8) if header.num_bytes else flat
    source: Any = stream
    done = 0
    while done < header.num_bytes:
        count = source.readinto(raw[done : done + _BLOCK])
        if not count:
            raise FileFormatError(f"{in_one_line(origin)}: is cut off after {done:,} bytes.")
        done += count
    if header.is_fortran:
        return flat.reshape(header.shape[::-1]).transpose()
    return flat.reshape(header.shape)


def _read_header(stream: IO[bytes], origin: str) -> NpyHeader:
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected an .npy file of version 1 or 2, got {version}."
        )
    header = NpyHeader(*readers[version](stream))
    if header.dtype.hasobject:
        raise FileFormatError(
            f"{in_one_line(origin)}: it holds object arrays, which are not read: opening them may run programs. "
            f"Save plain arrays of numbers or texts."
        )
    if header.dtype.fields is not None or header.dtype.subdtype is not None:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected one plain array, got records ({header.dtype}). Save each field."
        )
    if any(length < 0 for length in header.shape):
        raise FileFormatError(
            f"{in_one_line(origin)}: its header says the shape is {header.shape}."
        )
    return header


def _check_length(header: NpyHeader, available: int, origin: str) -> None:
    count = math.prod(header.shape)
    if header.num_bytes != available or count > max(header.num_bytes, 1):
        raise FileFormatError(
            f"{in_one_line(origin)}: its header says shape {header.shape} of {header.dtype}, {header.num_bytes:,} "
            f"bytes, but {available:,} follow. The file is damaged or cut off; write it again."
        )
