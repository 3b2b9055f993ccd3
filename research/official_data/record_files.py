"""MXNet's indexed record files (`.rec`, `.idx`, `.lst`), read without MXNet.

A `.rec` file is a row of parts, each beginning at a multiple of 4 bytes, little-endian:

    uint32 0xced7230a | uint32: upper 3 bits flag, lower 29 bits length | data | zeros up to 4 bytes

Flag 0 is a whole record; 1, 2, 3 are the first, a middle, the last part of a record whose data held
the magic number at such a multiple: it was cut out there and belongs between the parts. The data of a
record is a header and the payload:

    uint32 flag | float32 label | uint64 id | uint64 id2 | flag x float32 labels, where flag > 0

`.idx` says at which byte each record begins ("key TAB offset"), `.lst` what it is ("key TAB label TAB
path").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from probefusion.errors import FileFormatError, UnknownNameError
from probefusion.files import check_existing

__all__ = ["ListEntry", "Record", "RecordFile", "read_record_list"]

_MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", _MAGIC)
_HEADER = struct.Struct("<IfQQ")
_MAX_LABELS = 1 << 20
_WHOLE, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record.

    Args:
        key: Its number in the index, or its place in the file where there is no index.
        labels: Its label, or its several labels.
        identifier: The number its header holds.
        payload: What it carries: an encoded image, or numbers.
        offset: Byte in the file at which it begins.
    """

    key: int
    labels: tuple[float, ...]
    identifier: int
    payload: bytes
    offset: int


@dataclass(frozen=True, kw_only=True)
class ListEntry:
    """One line of a `.lst` file.

    Args:
        key: Number of the record.
        labels: Its label or labels.
        path: The image it was made of.
    """

    key: int
    labels: tuple[float, ...]
    path: str


class RecordFile:
    """A `.rec` file with the `.idx` beside it, or without: it is then read from front to back.

    Args:
        path: The `.rec` file.

    Raises:
        MissingFileError: If it does not exist.
        FileFormatError: If the index is no index; names the line.

    Example:
        >>> with RecordFile("train.rec") as records:  # doctest: +SKIP
        ...     for record in records:
        ...         print(record.key, record.labels, len(record.payload))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_existing(path, name="record file")
        if self.path.is_dir():
            raise FileFormatError(f"{path}: expected a .rec file, got a folder.")
        index = self.path.with_suffix(".idx")
        self._offsets = _read_index(index) if index.is_file() else None
        self._stream: IO[bytes] = self.path.open("rb")
        self._size = self.path.stat().st_size

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def keys(self) -> tuple[int, ...]:
        """Numbers of the records that the index names, in its order; () without an index."""
        return () if self._offsets is None else tuple(self._offsets)

    def read(self, key: int) -> Record:
        """The record of a key of the index.

        Raises:
            UnknownNameError: If the index has no such key, or there is no index.
            FileFormatError: If what lies there is no whole record; names the byte.
        """
        if self._offsets is None or key not in self._offsets:
            known = () if self._offsets is None else [str(k) for k in list(self._offsets)[:10]]
            raise UnknownNameError("record", str(key), known)
        return self._record(key, self._offsets[key])[0]

    def __iter__(self) -> Iterator[Record]:
        """All records, in the order of the index, or of the file without one.

        Raises:
            FileFormatError: At the first place where there is no whole record; names the byte.
        """
        if self._offsets is not None:
            for key, offset in self._offsets.items():
                yield self._record(key, offset)[0]
            return
        offset = key = 0
        while offset < self._size:
            record, offset = self._record(key, offset)
            yield record
            key += 1

    def _record(self, key: int, offset: int) -> tuple[Record, int]:
        """The record that begins at an offset, and where the next one does."""
        data, end = self._data(offset)
        if len(data) < _HEADER.size:
            raise self._error(offset, f"a header of {_HEADER.size} bytes", f"{len(data)} bytes")
        flag, label, identifier, _ = _HEADER.unpack_from(data)
        start, labels = _HEADER.size, (label,)
        if flag > 0:
            if flag > _MAX_LABELS or len(data) < start + 4 * flag:
                raise self._error(
                    offset, f"{flag} labels", f"{len(data) - start} bytes after the header"
                )
            labels = struct.unpack_from(f"<{flag}f", data, start)
            start += 4 * flag
        record = Record(
            key=key, labels=labels, identifier=identifier, payload=data[start:], offset=offset
        )
        return record, end

    def _data(self, offset: int) -> tuple[bytes, int]:
        """The data of a record, its parts joined by the magic number that was cut out."""
        parts: list[bytes] = []
        place = offset
        while True:
            flag, data, place = self._part(place)
            wanted = (_WHOLE, _FIRST) if not parts else (_MIDDLE, _LAST)
            if flag not in wanted:
                raise self._error(
                    offset, f"a part with flag {wanted[0]} or {wanted[1]}", f"flag {flag}"
                )
            parts.append(data)
            if flag in (_WHOLE, _LAST):
                return _MAGIC_BYTES.join(parts), place

    def _part(self, offset: int) -> tuple[int, bytes, int]:
        if offset < 0 or offset % 4 or offset + 8 > self._size:
            raise self._error(offset, "the beginning of a record", f"a file of {self._size} bytes")
        self._stream.seek(offset)
        magic, word = struct.unpack("<II", self._stream.read(8))
        if magic != _MAGIC:
            raise self._error(offset, f"the magic number {_MAGIC:#x}", f"{magic:#x}")
        length = word & 0x1FFFFFFF
        end = offset + 8 + length
        if end > self._size:
            raise self._error(
                offset, f"{length} bytes of data", f"{self._size - offset - 8} up to the end"
            )
        return word >> 29, self._stream.read(length), end + (-length) % 4

    def _error(self, offset: int, expected: str, got: str) -> FileFormatError:
        return FileFormatError(
            f"{self.path.name}, byte {offset}: expected {expected}, got {got}. The file is damaged, or "
            f"its index belongs to another one."
        )


def read_record_list(path: str | Path) -> list[ListEntry]:
    """Reads a `.lst` file: number, label or labels, path, separated by tabs.

    Raises:
        MissingFileError: If it does not exist.
        FileFormatError: If a line is none; names it.
    """
    path = check_existing(path, name="record list")
    entries = []
    for number, line in _lines(path):
        fields = [field.strip() for field in line.split("\t")]
        try:
            if len(fields) < 3 or not fields[-1]:
                raise ValueError(line)
            labels = tuple(float(field) for field in fields[1:-1])
            entries.append(ListEntry(key=int(fields[0]), labels=labels, path=fields[-1]))
        except ValueError as error:
            raise FileFormatError(
                f"{path.name}, line {number}: expected number, label and path, separated by tabs, got "
                f"{line[:60]!r}."
            ) from error
    return entries


def _read_index(path: Path) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for number, line in _lines(path):
        try:
            key, offset = (int(field) for field in line.split("\t"))
        except ValueError as error:
            raise FileFormatError(
                f"{path.name}, line {number}: expected number and offset, separated by a tab, got "
                f"{line[:60]!r}."
            ) from error
        if key in offsets:
            raise FileFormatError(f"{path.name}, line {number}: the number {key} comes twice.")
        offsets[key] = offset
    return offsets


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path.name}: expected UTF-8 text ({error}).") from error
