"""What a task makes of the rows it read: of each person either the sums of the rows or the rows themselves.

A file of partials is an Arrow file (Feather). It holds `num_buckets` record batches for each chunk of rows, people
sorted by the hashes of their ids. Columns:

    id            integer or text
    hash          of the id, unsigned
    first         number of the person's first row
    num_images    rows of the person
    state         mass, sums and style sums, float64, one after the other; empty where the rows stand for themselves
    rows          how many rows follow: all of them, or those that are looked at when screening
    embeddings, style, quality    of those rows, as stored

Every batch carries checksums (CRC-32), which are compared when it is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.storage import is_url, open_file, writing
from probefusion.errors import FileFormatError, IntegrityError
from probefusion.extras import import_extra
from probefusion.files import check_file
from probefusion.files.reading import in_one_line, reading

__all__ = ["PartialFile", "Partials", "People", "open_partials", "writing_partials"]

_PURPOSE = "fusing archives"
_STEP = "Delete the file, and give the command again."
_OF_PEOPLE, _OF_ROWS = "crc32_of_people", "crc32_of_rows"
_COLUMNS = ("id", "hash", "first", "num_images", "rows")
_FEATURES = ("embeddings", "style", "quality")


@dataclass(frozen=True, kw_only=True, eq=False)
class Partials:
    """Partial results of p people, and r rows of them.

    Args:
        ids: (p,) int64, uint64 or text.
        hashes: (p,) uint64, ascending.
        first: (p,) int64, number of each one's first row.
        num_images: (p,) int64.
        has_state: (p,) whether there is a state.
        states: (q, W) float64, of those that have one.
        row_counts: (p,) int64, rows kept of each.
        embeddings: (r, D) as stored.
        style: (r, C, 2) as stored, or None.
        quality: (r,) as stored, or None.
        extra: More columns, each with p entries.
    """

    ids: npt.NDArray[Any]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.int64]
    num_images: npt.NDArray[np.int64]
    has_state: npt.NDArray[np.bool_]
    states: npt.NDArray[np.float64]
    row_counts: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.floating]
    style: npt.NDArray[np.floating] | None
    quality: npt.NDArray[np.floating] | None
    extra: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def of_nobody(state_width: int) -> Partials:
        """No people."""
        nothing = np.zeros(0, np.int64)
        return Partials(
            ids=nothing,
            hashes=nothing.astype(np.uint64),
            first=nothing,
            num_images=nothing,
            has_state=nothing.astype(bool),
            states=np.zeros((0, state_width)),
            row_counts=nothing,
            embeddings=np.zeros((0, 1)),
            style=None,
            quality=None,
            extra={},
        )

    @property
    def people(self) -> People:
        """All but states and rows."""
        return People(
            self.ids, self.hashes, self.first, self.num_images, self.row_counts, self.extra
        )

    def part(self, start: int, stop: int) -> Partials:
        """The people `start` to `stop`, as views."""
        states = np.concatenate([[0], np.cumsum(self.has_state)])
        rows = np.concatenate([[0], np.cumsum(self.row_counts)])
        people = slice(start, stop)
        features = slice(rows[start], rows[stop])
        return Partials(
            ids=self.ids[people],
            hashes=self.hashes[people],
            first=self.first[people],
            num_images=self.num_images[people],
            has_state=self.has_state[people],
            states=self.states[states[start] : states[stop]],
            row_counts=self.row_counts[people],
            embeddings=self.embeddings[features],
            style=None if self.style is None else self.style[features],
            quality=None if self.quality is None else self.quality[features],
            extra={name: column[people] for name, column in self.extra.items()},
        )


class People(NamedTuple):
    """What stands in a batch beside states and rows.

    Attributes:
        ids: (p,) int64, uint64 or text.
        hashes: (p,) uint64, ascending.
        first: (p,) int64, number of each one's first row.
        num_images: (p,) int64.
        row_counts: (p,) int64, rows kept of each.
        extra: More columns, each with p entries.
    """

    ids: npt.NDArray[Any]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.int64]
    num_images: npt.NDArray[np.int64]
    row_counts: npt.NDArray[np.int64]
    extra: dict[str, npt.NDArray[Any]]

    def checksum(self) -> str:
        """CRC-32 of everything, types and shapes too."""
        names = np.array(sorted(self.extra), np.str_)
        return _checksum(*self[:-1], names, *(self.extra[name] for name in names.tolist()))


class PartialWriter:
    """Writes batches of partials into one file; all of the same columns.

    Attributes:
        has_written: Whether there is a batch.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.has_written = False
        self._writer: Any = None

    def write(self, part: Partials) -> None:
        """Writes one batch."""
        arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
        batch = _to_arrow(arrow, part)
        if self._writer is None:
            self._writer = arrow.ipc.new_file(self._stream, batch.schema)
        sums = {_OF_PEOPLE: part.people.checksum(), _OF_ROWS: _rows_checksum(part)}
        self._writer.write_batch(batch, custom_metadata=sums)
        self.has_written = True

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def writing_partials(place: str) -> Iterator[PartialWriter]:
    """A writer for a file that appears when the block ends."""
    with writing(place) as stream:
        writer = PartialWriter(stream)
        yield writer
        writer.close()


class PartialFile:
    """An open file of partials.

    Attributes:
        num_batches: Batches of it.
    """

    def __init__(self, stream: Any, place: str) -> None:
        self._arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
        self._place = place
        with self._reading():
            self._reader = self._arrow.ipc.open_file(stream)
            names = self._reader.schema.names
            rows = {"state", *_FEATURES}
            columns = [place for place, name in enumerate(names) if name not in rows]
            options = self._arrow.ipc.IpcReadOptions(included_fields=columns)
            self._brief = self._arrow.ipc.open_file(stream, options=options)
        self.num_batches: int = self._reader.num_record_batches

    def _reading(self) -> AbstractContextManager[None]:
        return reading(
            self._place, "a file of partial results", also=(self._arrow.ArrowException,), step=_STEP
        )

    def people(self, index: int) -> People:
        """One batch without states and rows, which are not read; its arrays may be views of the file.

        Raises:
            IntegrityError: If it is not what was written.
            FileFormatError: If it cannot be read.
        """
        with self._reading():
            found = self._brief.get_batch_with_custom_metadata(index)
            people = _people_of(found.batch)
        self._check(people.checksum(), found.custom_metadata, _OF_PEOPLE, index)
        return people

    def read(self, index: int) -> Partials:
        """One batch; its arrays may be views of the file.

        Raises:
            IntegrityError: If it is not what was written.
            FileFormatError: If it cannot be read.
        """
        with self._reading():
            found = self._reader.get_batch_with_custom_metadata(index)
            part = _from_arrow(found.batch)
        self._check(part.people.checksum(), found.custom_metadata, _OF_PEOPLE, index)
        self._check(_rows_checksum(part), found.custom_metadata, _OF_ROWS, index)
        return part

    def _check(self, found: str, metadata: Any, key: str, index: int) -> None:
        if dict(metadata or {}).get(key.encode(), b"") != found.encode():
            raise IntegrityError(
                f"{in_one_line(self._place)}: batch {index} is not what was written to it (another checksum). {_STEP}"
            )


@contextmanager
def open_partials(place: str) -> Iterator[PartialFile]:
    """Opens a file of partials; a path is mapped into memory.

    Raises:
        MissingFileError, StorageError: If it is not there, or cannot be reached.
        FileFormatError: If it is no such file.
    """
    if is_url(place):
        with open_file(place) as stream:
            yield PartialFile(stream, place)
        return
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    path = check_file(Path(place))
    with reading(place, "a file of partial results", also=(arrow.ArrowException,), step=_STEP):
        mapped = arrow.memory_map(str(path))
    with mapped:
        yield PartialFile(mapped, place)


def _rows_checksum(part: Partials) -> str:
    """CRC-32 of states and rows."""
    return _checksum(part.has_state, part.states, *(getattr(part, name) for name in _FEATURES))


def _checksum(*arrays: npt.NDArray[Any] | None) -> str:
    total = 0
    for array in arrays:
        if array is None:
            continue
        if array.dtype.kind == "U":  # how wide an array of texts is, is an accident
            data = "\0".join(array.tolist()).encode("utf-8", "surrogatepass")
            total = zlib.crc32(data, zlib.crc32(b"texts", total))
            continue
        total = zlib.crc32(f"{array.dtype.str}{array.shape[1:]}".encode(), total)
        if array.size:
            whole: Any = np.ascontiguousarray(array).reshape(-1)
            total = zlib.crc32(whole.view(np.uint8), total)
    return f"{total:08x}"


def _to_arrow(arrow: Any, part: Partials) -> Any:
    state_bytes = part.states.shape[1] * 8
    columns = {
        "id": arrow.array(part.ids, arrow.string() if part.ids.dtype.kind == "U" else None),
        "hash": arrow.array(part.hashes),
        "first": arrow.array(part.first),
        "num_images": arrow.array(part.num_images),
        "rows": arrow.array(part.row_counts),
        "state": _binary(arrow, part.states, part.has_state * state_bytes),
    }
    shapes = {"states": str(part.states.shape[1])}
    for name in _FEATURES:
        matrix = getattr(part, name)
        if matrix is not None:
            row_bytes = matrix.dtype.itemsize * int(np.prod(matrix.shape[1:]))
            columns[name] = _binary(arrow, matrix, part.row_counts * row_bytes)
            shape = ",".join(map(str, matrix.shape[1:]))
            shapes[name] = f"{matrix.dtype.str};{shape}"
    for name, column in part.extra.items():
        if column.ndim == 1:
            columns[name] = arrow.array(column)
        else:
            flat = arrow.array(np.ascontiguousarray(column).reshape(-1))
            columns[name] = arrow.FixedSizeListArray.from_arrays(flat, column.shape[1])
    schema = arrow.schema(
        [(name, column.type) for name, column in columns.items()], metadata=shapes
    )
    return arrow.record_batch(list(columns.values()), schema=schema)


def _binary(arrow: Any, matrix: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> Any:
    """Bytes of rows of a matrix, `lengths` of them in each entry."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    data = np.ascontiguousarray(matrix).reshape(-1).view(np.uint8)
    buffers = [None, arrow.py_buffer(offsets), arrow.py_buffer(data)]
    return arrow.Array.from_buffers(arrow.large_binary(), len(lengths), buffers)


def _from_arrow(batch: Any) -> Partials:
    metadata = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    names = set(batch.schema.names)
    lengths, data = _bytes(batch.column("state"))
    features: dict[str, Any] = dict.fromkeys(_FEATURES)
    for name in _FEATURES:
        if name in names:
            dtype, _, shape = metadata[name].partition(";")
            row = [int(size) for size in shape.split(",") if size]
            _, values = _bytes(batch.column(name))
            matrix = values.view(np.dtype(dtype))
            count = len(matrix) // max(1, int(np.prod(row)))
            features[name] = matrix.reshape(count, *row)
    width = int(metadata["states"])
    people = _people_of(batch)
    part = Partials(
        **people._asdict(),
        has_state=lengths > 0,
        states=data.view(np.float64).reshape(-1, width),
        **features,
    )
    if len(part.embeddings) != part.row_counts.sum() or len(part.states) != part.has_state.sum():
        raise FileFormatError("its rows and their numbers differ")
    return part


def _people_of(batch: Any) -> People:
    names = [name for name in batch.schema.names if name not in ("state", *_FEATURES)]
    columns = {name: batch.column(name) for name in names}
    ids: npt.NDArray[Any] = columns["id"].to_numpy(zero_copy_only=False)
    hashes, first, num_images, rows = (columns[name].to_numpy() for name in _COLUMNS[1:])
    return People(
        ids=ids.astype(np.str_) if ids.dtype.kind == "O" else ids,
        hashes=hashes,
        first=first,
        num_images=num_images,
        row_counts=rows,
        extra={name: _plain(columns[name]) for name in names if name not in _COLUMNS},
    )


def _plain(column: Any) -> npt.NDArray[Any]:
    if hasattr(column.type, "list_size"):
        flat: npt.NDArray[Any] = column.flatten().to_numpy()
        return flat.reshape(len(column), column.type.list_size)
    array: npt.NDArray[Any] = column.to_numpy()
    return array


def _bytes(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Lengths of the entries of a column of bytes, and all bytes of it."""
    _, offsets, data = column.buffers()
    edges = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    if not len(edges) or data is None:
        return np.zeros(len(column), np.int64), np.zeros(0, np.uint8)
    return np.diff(edges), np.frombuffer(data, np.uint8)[edges[0] : edges[-1]]
