"""Tables with one row per image: CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.errors import EmptySetError, FileFormatError, ShapeError
from probefusion.parquet import label_column, list_matrix, metadata_text, read_parquet_table
from probefusion.reading import read_bytes, reading
from probefusion.types import EmbeddingSet

__all__ = ["read_csv", "read_parquet"]

_TEXT_COLUMNS = ("source", "media_id")
_LARGEST_CSV = 1 << 31
"""Bytes of a CSV file at most: more is no single person's."""

_PARQUET_COLUMNS = ("embedding", "style", "media_id", "source", "subject_id", "template_id")


def read_csv(path: Path) -> EmbeddingSet:
    """Reads a CSV file: one image per row, one number per column, comma or semicolon.

    A first row without any number is taken for a header. With a header, columns named `source` and
    `media_id` are taken as such; all others must hold numbers and make up the embedding in their
    order. Columns that name people or templates are refused: a file is one person's.

    Raises:
        FileFormatError: For a wrong column count or a field that is no number, naming the line.
        EmptySetError: If there are no rows.
    """
    with reading(path.name, "UTF-8 text"):
        text = read_bytes(path, at_most=_LARGEST_CSV).decode("utf-8-sig")
    first_line = text.split("\n", 1)[0]
    delimiter = ";" if ";" in first_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    rows: list[list[float]] = []
    labels: dict[str, list[str]] = {}
    width = 0
    for fields in _lines(reader, path.name):
        if not fields:
            continue
        if not width:
            width = len(fields)
            if not any(_is_number(value) for value in fields):
                header = [value.strip() for value in fields]
                _refuse_people(header, path.name)
                labels = {name: [] for name in _TEXT_COLUMNS if name in header}
                continue
        if len(fields) != width:
            raise FileFormatError(
                f"{path.name}, line {reader.line_num}: expected {width} columns, got {len(fields)}."
            )
        row = []
        for position, value in enumerate(fields):
            name = header[position] if header else ""
            if name in labels:
                labels[name].append(value.strip())
                continue
            try:
                row.append(_number(value))
            except ValueError as error:
                raise FileFormatError(
                    f"{path.name}, line {reader.line_num}, column {position + 1}: expected a number, "
                    f"got {value[:40]!r}."
                ) from error
        rows.append(row)
    if not rows:
        raise EmptySetError(f"{path.name} holds no rows: expected at least one image.")
    return EmbeddingSet(
        embeddings=np.asarray(rows, dtype=np.float64),
        sources=np.asarray(labels["source"]) if "source" in labels else None,
        media_ids=np.asarray(labels["media_id"]) if "media_id" in labels else None,
        origin=path.name,
    )


def _lines(reader: Any, name: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise FileFormatError(f"{name}, line {reader.line_num}: no valid CSV ({error}).") from error


def _refuse_people(header: list[str], name: str) -> None:
    found = [column for column in ("subject_id", "template_id") if column in header]
    if found:
        raise FileFormatError(
            f"{name}: expected the images of one person, got a column {found[0]!r}. Write one file "
            f"per person, without that column."
        )


def _number(text: str) -> float:
    if "_" in text:  # Python reads 1_0 as 10; a table means something else
        raise ValueError(text)
    return float(text)


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def read_parquet(path: Path) -> EmbeddingSet:
    """Reads a Parquet file: one image per row.

    Columns: `embedding` (list of D numbers); optionally `style` (list of 2C numbers, mean and
    standard deviation of channel 0, of channel 1, ...), `media_id`, `source`, `subject_id` and
    `template_id`. The file metadata key `embedder` gives the embedder's fingerprint. Other columns
    are an error, so that a misspelt one is not passed over.

    Raises:
        FileFormatError: If it is no Parquet file, lacks `embedding`, or holds several templates.
        MissingExtraError: If pyarrow is not installed.
    """
    table = read_parquet_table(path)
    if {"template_id", "num_images", "embedding"} <= set(table.column_names):
        raise FileFormatError(
            f"{path.name}: expected the images of one person, got templates of {table.num_rows}. Read "
            f"them with TemplateSet.load, or compare one: probefusion compare {path.name}#ID OTHER"
        )
    unknown = sorted(set(table.column_names) - set(_PARQUET_COLUMNS))
    if "embedding" not in table.column_names or unknown:
        raise FileFormatError(
            f"{path.name}: expected the column 'embedding' and optionally "
            f"{', '.join(_PARQUET_COLUMNS[1:])}; unknown: {', '.join(unknown) or 'none'}."
        )
    if table.num_rows == 0:
        raise EmptySetError(f"{path.name} holds no rows: expected at least one image.")
    for name in ("template_id", "subject_id"):
        if name in table.column_names:
            count = len(table.column(name).unique())
            if count > 1:
                raise FileFormatError(
                    f"{path.name}: expected the images of one template, got {count} different "
                    f"values of {name}. Select one person's rows first."
                )
    style = None
    if "style" in table.column_names:
        flat = list_matrix(table.column("style").combine_chunks(), "style", path.name)
        if flat.shape[1] % 2:
            raise ShapeError(
                f"style of {path.name}: expected pairs of mean and deviation, got {flat.shape[1]} numbers."
            )
        style = flat.reshape(len(flat), -1, 2)
    labels = {
        name: label_column(table.column(name), name, path.name)
        for name in _TEXT_COLUMNS
        if name in table.column_names
    }
    return EmbeddingSet(
        embeddings=list_matrix(table.column("embedding").combine_chunks(), "embedding", path.name),
        style=style,
        media_ids=labels.get("media_id"),
        sources=labels.get("source"),
        embedder=metadata_text(table.schema, "embedder"),
        origin=path.name,
    )
