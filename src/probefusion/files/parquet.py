"""Parquet files, through pyarrow: opened with one error, read as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, FileFormatError, ShapeError
from probefusion.extras import import_extra
from probefusion.files.paths import check_file
from probefusion.files.reading import check_declared_bytes, in_one_line, reading
from probefusion.files.texts import check_text_room

__all__ = [
    "label_column",
    "list_matrix",
    "metadata_text",
    "open_parquet",
    "open_parquet_stream",
    "read_parquet_table",
    "reading_parquet",
]

_PURPOSE = "reading Parquet files"
_READ_AHEAD_BYTES = 1 << 20
_ROWS_AT_ONCE = 1024
_LARGEST_BUFFERED = 64 << 20
"""Bytes of a row group that may lie in memory while it is read from a stream; larger ones are read in pieces."""


@contextmanager
def reading_parquet(origin: str | Path) -> Iterator[None]:
    """Gives whatever pyarrow raises inside the block one type, see `probefusion.files.reading.reading`.

    Raises:
        FileFormatError: For every error of pyarrow.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    with reading(origin, "a Parquet file", also=(arrow.ArrowException,)):
        yield


def open_parquet(path: Path, *, at_once: bool = False) -> Any:
    """The file, opened for reading in parts; a `pyarrow.parquet.ParquetFile`, to be closed.

    Args:
        path: The file.
        at_once: Whether all of it is to be held in memory.

    Raises:
        MissingFileError: If it does not exist.
        FileFormatError: If it is no Parquet file, or claims to hold far more than it can.
        MissingExtraError: If pyarrow is not installed.
    """
    parquet = import_extra("pyarrow.parquet", extra="data", purpose=_PURPOSE)
    path = check_file(path)
    with reading_parquet(path.name):
        file = parquet.ParquetFile(path, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
        try:
            declared = _declared_bytes(file.metadata)
            check_declared_bytes(declared, path.name, stored=path.stat().st_size, at_once=at_once)
        except BaseException:
            file.close()
            raise
    return file


def open_parquet_stream(
    stream: IO[bytes], origin: str, *, size: int, read_ahead: bool = True
) -> Any:
    """A stream, opened for reading in parts; a `pyarrow.parquet.ParquetFile`, to be closed.

    Args:
        stream: Can be moved about in; what it raises itself passes as it is, if it is of our own errors.
        origin: Its name, for messages.
        size: Bytes that it holds.
        read_ahead: Whether a row group that is not large is fetched at once.

    Raises:
        FileFormatError: If it is no Parquet file, or claims to hold far more than it can.
        MissingExtraError: If pyarrow is not installed.
    """
    parquet = import_extra("pyarrow.parquet", extra="data", purpose=_PURPOSE)
    with reading_parquet(origin):
        file = parquet.ParquetFile(stream, pre_buffer=False, buffer_size=_READ_AHEAD_BYTES)
        try:
            declared = _declared_bytes(file.metadata)
            check_declared_bytes(declared, origin, stored=size, at_once=False)
            if read_ahead and _largest_group(file.metadata) <= _LARGEST_BUFFERED:
                file = parquet.ParquetFile(stream, pre_buffer=True, metadata=file.metadata)
        except BaseException:
            file.close()
            raise
    return file


def _declared_bytes(metadata: Any) -> int:
    """What the row groups claim.

    Nothing is asked of single columns: pyarrow ends the whole process where a damaged file describes
    one wrongly.
    """
    total = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.num_rows < 0 or group.total_byte_size < 0:
            raise ValueError("it claims a negative number of values")
        total += max(group.total_byte_size, group.num_rows)
    return total


def _largest_group(metadata: Any) -> int:
    """Bytes that the largest row group claims, decoded."""
    groups = range(metadata.num_row_groups)
    return max((int(metadata.row_group(index).total_byte_size) for index in groups), default=0)


def read_parquet_table(path: Path) -> Any:
    """The whole file, a `pyarrow.Table`.

    Raises:
        MissingFileError, FileFormatError, MissingExtraError: As for `open_parquet`.
        FileFormatError: If it is damaged.
    """
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    with reading_parquet(path.name), open_parquet(path, at_once=True) as file:
        stored, total, batches = path.stat().st_size, 0, []
        # In parts: values that repeat take no room in the file, and nothing tells their number before.
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            total += batch.nbytes
            check_declared_bytes(total, path.name, stored=stored)
            batches.append(batch)
        table = arrow.Table.from_batches(batches, schema=file.schema_arrow).unify_dictionaries()
        table.validate(full=True)
        return table


def metadata_text(schema: Any, key: str) -> str | None:
    """A text of the file's metadata, or None where there is none."""
    value = (schema.metadata or {}).get(key.encode())
    return value.decode(errors="replace") if value else None


def list_matrix(merged: Any, name: str, origin: str) -> npt.NDArray[Any]:
    """An Arrow array of lists as (N, length), without a Python object per number.

    Args:
        merged: The array.
        name: The column's name, for messages.
        origin: The file's name, for messages.

    Raises:
        FileFormatError: If values are missing.
        DtypeError: If it does not hold lists of numbers.
        ShapeError: If the lists differ in length.
    """
    types = import_extra("pyarrow", extra="data", purpose=_PURPOSE).types
    is_list = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    kind = merged.type
    if not any(test(kind) for test in is_list) or not (
        types.is_floating(kind.value_type) or types.is_integer(kind.value_type)
    ):
        raise DtypeError(
            f"{in_one_line(origin)}: column {name!r} must hold lists of numbers, got {str(kind)[:80]}."
        )
    with reading_parquet(origin):
        if merged.null_count:
            raise FileFormatError(
                f"{in_one_line(origin)}: column {name!r} has {merged.null_count} missing values."
            )
        lengths = set(merged.value_lengths().unique().to_pylist())
        if len(lengths) > 1:
            raise ShapeError(
                f"{in_one_line(origin)}: column {name!r} has rows of different lengths {sorted(lengths)[:5]}."
            )
        values = merged.flatten()
        if values.null_count:
            raise FileFormatError(
                f"{in_one_line(origin)}: column {name!r} has {values.null_count} missing numbers."
            )
        numbers = values.to_numpy(zero_copy_only=False)
        matrix: npt.NDArray[Any] = numbers.reshape(len(merged), *lengths)
    return matrix


def label_column(
    column: Any, name: str, origin: str, *, longest: int | None = None, first_row: int = 0
) -> npt.NDArray[Any]:
    """An Arrow column of integers or texts as (N,) array; texts as NumPy texts.

    Args:
        column: The column.
        name: Its name, for messages.
        origin: The file's name, for messages.
        longest: Most characters of a text; None for as many as there is room for.
        first_row: Number of the first one's row, for messages.

    Raises:
        FileFormatError: If values are missing, or a text is too long.
        DtypeError: If it holds something else.
    """
    with reading_parquet(origin):
        if column.null_count:
            raise FileFormatError(
                f"{in_one_line(origin)}: column {name!r} has {column.null_count} missing values."
            )
        _check_lengths(column, name, origin, longest, first_row)
        labels: npt.NDArray[Any] = np.asarray(column.to_numpy(zero_copy_only=False))
    # All are of one type. An empty column of texts has no first one.
    is_text = labels.dtype.kind == "O" and all(isinstance(item, str | bytes) for item in labels[:1])
    if is_text:
        if any(item[-1:] in ("\0", b"\0") for item in labels):  # NumPy's texts end before it
            raise DtypeError(
                f"{in_one_line(origin)}: column {name!r}: expected texts that do not end with a zero character, got "
                f"one that does. Write it without."
            )
        try:
            labels = labels.astype(np.str_)
        except UnicodeDecodeError as error:
            raise DtypeError(f"{name} of {origin}: expected texts, got bytes ({error}).") from error
    if labels.dtype.kind not in "iuU":
        raise DtypeError(f"{name} of {origin}: expected integers or texts, got {column.type}.")
    return labels


def _check_lengths(
    column: Any, name: str, origin: str, longest: int | None, first_row: int
) -> None:
    """Refuses texts that are too long, before NumPy gives each the room of the longest.

    Raises:
        FileFormatError: If one is.
    """
    compute = import_extra("pyarrow.compute", extra="data", purpose=_PURPOSE)
    types = import_extra("pyarrow", extra="data", purpose=_PURPOSE).types
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not len(column) or not (
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind)
    ):
        return
    lengths = compute.binary_length(column.cast(kind))
    found = compute.max(lengths).as_py()
    if longest is None:
        total = compute.sum(lengths).as_py()
        check_text_room(len(column), found, total, name=f"column {name!r}", origin=origin)
    elif found > longest and not types.is_binary(kind):  # a character may have several bytes
        lengths = compute.utf8_length(column.cast(kind))
        found = compute.max(lengths).as_py()
    if longest is not None and found > longest:
        row = first_row + compute.index(lengths, found).as_py()
        raise FileFormatError(
            f"{in_one_line(origin)}: column {name!r}: expected texts of at most {longest} characters, got {found:,} in "
            f"row {row}. Is it the right column? Shorten it, or name another."
        )
