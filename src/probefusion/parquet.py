"""Parquet files, through pyarrow: opened with one error, read as NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, FileFormatError, ShapeError
from probefusion.extras import import_extra

__all__ = ["label_column", "list_matrix", "metadata_text", "open_parquet", "read_parquet_table"]

_PURPOSE = "reading Parquet files"
_READ_AHEAD_BYTES = 1 << 20


def open_parquet(path: Path) -> Any:
    """The file, opened for reading in parts; a `pyarrow.parquet.ParquetFile`, to be closed.

    Raises:
        FileFormatError: If it is no Parquet file.
        MissingExtraError: If pyarrow is not installed.
    """
    parquet = import_extra("pyarrow.parquet", extra="data", purpose=_PURPOSE)
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    try:
        return parquet.ParquetFile(path, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
    except (arrow.ArrowException, OSError) as error:
        raise FileFormatError(f"{path.name}: expected a Parquet file ({error}).") from error


def read_parquet_table(path: Path) -> Any:
    """The whole file, a `pyarrow.Table`.

    Raises:
        FileFormatError: If it is no Parquet file, or damaged.
        MissingExtraError: If pyarrow is not installed.
    """
    parquet = import_extra("pyarrow.parquet", extra="data", purpose=_PURPOSE)
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    try:
        return parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise FileFormatError(f"{path.name}: expected a Parquet file ({error}).") from error


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
        DtypeError: If it does not hold lists.
        ShapeError: If the lists differ in length.
    """
    if merged.null_count:
        raise FileFormatError(f"{origin}: column {name!r} has {merged.null_count} missing values.")
    types = import_extra("pyarrow", extra="data", purpose=_PURPOSE).types
    kinds = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(is_kind(merged.type) for is_kind in kinds) or not (
        types.is_floating(merged.type.value_type) or types.is_integer(merged.type.value_type)
    ):
        raise DtypeError(
            f"{origin}: column {name!r} must hold lists of numbers, got {merged.type}."
        )
    values = merged.flatten()
    numbers = values.to_numpy(zero_copy_only=False)
    lengths = (
        set(merged.value_lengths().unique().to_pylist())
        if hasattr(merged, "value_lengths")
        else set()
    )
    if len(lengths) > 1:
        raise ShapeError(
            f"{origin}: column {name!r} has rows of different lengths {sorted(lengths)[:5]}."
        )
    matrix: npt.NDArray[Any] = numbers.reshape(len(merged), -1)
    return matrix


def label_column(column: Any, name: str, origin: str) -> npt.NDArray[Any]:
    """An Arrow column of integers or texts as (N,) array; texts as NumPy texts.

    Args:
        column: The column.
        name: Its name, for messages.
        origin: The file's name, for messages.

    Raises:
        FileFormatError: If values are missing.
        DtypeError: If it holds something else.
    """
    if column.null_count:
        raise FileFormatError(f"{origin}: column {name!r} has {column.null_count} missing values.")
    labels: npt.NDArray[Any] = np.asarray(column.to_numpy(zero_copy_only=False))
    is_text = all(isinstance(label, str | bytes) for label in labels[:1])  # all are of one type
    if labels.dtype.kind == "O" and is_text:
        try:
            labels = labels.astype(np.str_)
        except UnicodeDecodeError as error:
            raise DtypeError(f"{name} of {origin}: expected texts, got bytes ({error}).") from error
    if labels.dtype.kind not in "iuU":
        raise DtypeError(f"{name} of {origin}: expected integers or texts, got {column.type}.")
    return labels
