"""Record batches of partial results, and the checksums (CRC-32) that tell whether they are what was written.

Of results (people with a template) templates have a checksum of their own, and every kept state one with its rows and
its template, so that a few people of a bucket can be read without the others. Files of former
releases have two checksums a batch, of which one is of people and templates together.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.partials.partial_records import FEATURES, Partials, People
from probefusion.errors import FileFormatError

__all__ = [
    "APART",
    "EACH",
    "OF_PEOPLE",
    "OF_ROWS",
    "OF_TEMPLATES",
    "each_checksum",
    "from_arrow",
    "people_checksum",
    "people_of",
    "rows_checksum",
    "templates_checksum",
    "templates_in",
    "to_arrow",
]

OF_PEOPLE, OF_TEMPLATES, OF_ROWS = "crc32_of_people", "crc32_of_templates", "crc32_of_rows"
APART = "templates_apart"
"""Key of the schema's metadata: templates have a checksum of their own."""
EACH = "crc32"
"""Column of the checksums of each person's state, rows and template."""
_TEMPLATE = "template"
_COLUMNS = ("id", "hash", "first", "num_images", "rows")

Numbers = npt.NDArray[np.int64]
Sums = npt.NDArray[np.uint32]


def to_arrow(arrow: Any, part: Partials) -> tuple[Any, dict[str, str]]:
    """A batch and its checksums."""
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
    for name in FEATURES:
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
    sums, people = {}, part.people
    if _TEMPLATE in part.extra:
        shapes[APART] = "yes"
        sums[OF_TEMPLATES] = templates_checksum(part.extra[_TEMPLATE])
        people = people._replace(extra=_without_templates(people.extra))
    if _TEMPLATE in part.extra and part.has_state.any():
        each = each_checksum(part)
        columns[EACH] = arrow.array(each)
        people = people._replace(extra=people.extra | {EACH: each})
    else:
        sums[OF_ROWS] = rows_checksum(part)
    sums[OF_PEOPLE] = people_checksum(people, shapes if APART in shapes else {})
    schema = arrow.schema(
        [(name, column.type) for name, column in columns.items()], metadata=shapes
    )
    return arrow.record_batch(list(columns.values()), schema=schema), sums


def from_arrow(batch: Any) -> tuple[Partials, Sums | None]:
    """Partials, as views, and the checksums of each person where there are some.

    Raises:
        FileFormatError: If the columns do not fit each other.
    """
    metadata = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    names = set(batch.schema.names)
    lengths, data = _bytes(batch.column("state"))
    features: dict[str, Any] = dict.fromkeys(FEATURES)
    for name in FEATURES:
        if name in names:
            dtype, _, shape = metadata[name].partition(";")
            row = [int(size) for size in shape.split(",") if size]
            _, values = _bytes(batch.column(name))
            matrix = values.view(np.dtype(dtype))
            count = len(matrix) // max(1, int(np.prod(row)))
            features[name] = matrix.reshape(count, *row)
    width = int(metadata["states"])
    people = people_of(batch)
    each = people.extra.pop(EACH, None)
    part = Partials(
        **people._asdict(),
        has_state=lengths > 0,
        states=data.view(np.float64).reshape(-1, width),
        **features,
    )
    if len(part.embeddings) != part.row_counts.sum() or len(part.states) != part.has_state.sum():
        raise FileFormatError("its rows and their numbers differ")
    return part, each


def people_of(batch: Any) -> People:
    """The people of a batch, as views; checksums of each are among the further columns."""
    names = [name for name in batch.schema.names if name not in ("state", *FEATURES)]
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


def templates_in(batch: Any) -> npt.NDArray[np.float32]:
    """(p, D), as views."""
    return _plain(batch.column(_TEMPLATE))


def people_checksum(people: People, shapes: dict[str, str]) -> str:
    """CRC-32 of people, types and shapes too.

    Args:
        people: With the further columns that it is of.
        shapes: Metadata that says how bytes are to be read.
    """
    names = np.array(sorted(people.extra), np.str_)
    told = [np.array(sorted(f"{key}={value}" for key, value in shapes.items()))] if shapes else []
    return _checksum(*people[:-1], names, *(people.extra[name] for name in names.tolist()), *told)


def rows_checksum(part: Partials) -> str:
    """CRC-32 of all states and rows of a batch."""
    return _checksum(part.has_state, part.states, *(getattr(part, name) for name in FEATURES))


def templates_checksum(templates: npt.NDArray[Any]) -> str:
    """CRC-32 of all templates of a batch."""
    return _checksum(templates)


def each_checksum(part: Partials) -> Sums:
    """(p,) for each person the CRC-32 of state, rows and template."""
    counts = np.concatenate([[0], np.cumsum(part.row_counts)])
    states = np.concatenate([[0], np.cumsum(part.has_state)])
    template = part.extra[_TEMPLATE]
    parts = [(template, np.arange(len(part) + 1)), (part.states, states)]
    for name in FEATURES:
        if getattr(part, name) is not None:
            parts.append((getattr(part, name), counts))
    views = []
    for matrix, edges in parts:
        row_bytes = matrix.dtype.itemsize * int(np.prod(matrix.shape[1:]))
        whole: Any = np.ascontiguousarray(matrix).reshape(-1).view(np.uint8)
        if edges[-1] and row_bytes:
            views.append((memoryview(whole), (edges * row_bytes).tolist()))
    sums = np.zeros(len(part), np.uint32)
    crc32 = zlib.crc32
    for place in range(len(part)):
        total = 0
        for view, cuts in views:
            total = crc32(view[cuts[place] : cuts[place + 1]], total)
        sums[place] = total
    return sums


def _without_templates(extra: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name: column for name, column in extra.items() if name != _TEMPLATE}


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


def _binary(arrow: Any, matrix: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> Any:
    """Bytes of rows of a matrix, `lengths` of them in each entry."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    data = np.ascontiguousarray(matrix).reshape(-1).view(np.uint8)
    buffers = [None, arrow.py_buffer(offsets), arrow.py_buffer(data)]
    return arrow.Array.from_buffers(arrow.large_binary(), len(lengths), buffers)


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
