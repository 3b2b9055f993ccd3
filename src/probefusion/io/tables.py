"""Tables with one row per image: CSV, plain text and Parquet. What columns mean: `probefusion.io.columns`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, EmptySetError, FileFormatError, ShapeError
from probefusion.files.parquet import label_column, list_matrix, metadata_text, read_parquet_table
from probefusion.files.reading import in_one_line, read_bytes, reading
from probefusion.files.texts import text_array
from probefusion.io.columns import UNNAMED, Columns, counts_rows, set_of_columns
from probefusion.io.doubts import question_columns, question_shape
from probefusion.types import EmbeddingSet

__all__ = ["csv_rows", "is_number", "read_csv", "read_parquet", "read_text"]

_LARGEST_CSV = 1 << 31
"""Bytes of a text file at most: more is no single person's."""

_LISTS = ("embedding", "style")
_NUMBERS = ("norm", "quality", "detector_score")
_NUMBERED_HEADER = 16
"""A first row 0, 1, 2, ... of so many fields is a line of names."""


def read_csv(path: Path, *, ignore: Iterable[str] = ()) -> EmbeddingSet:
    """Reads a CSV file: one image per row, separated by comma, semicolon or tab.

    A first row without any number is a line of names, and so is one that counts 0, 1, 2, ... as pandas
    writes it. With names the columns are sorted by them, see `probefusion.io.columns`; lists are written
    as in JSON, "[0.1, 0.2]". Without names all columns are the embedding, and the table is questioned
    where it does not look like embeddings.

    Args:
        path: The file.
        ignore: Columns that are passed over.

    Raises:
        FileFormatError: For a wrong column count, an unknown column, or a field that is no number, naming
            the line.
        EmptySetError: If there are no rows.
        InvalidInputError: If a table without names looks like something else.
    """
    rows = list(csv_rows(_decoded(path), path.name))
    if not rows:
        raise EmptySetError(f"{path.name} holds no rows: expected at least one image.")
    _, first = rows[0]
    for number, fields in rows:
        if len(fields) != len(first):
            raise FileFormatError(
                f"{path.name}, line {number}: expected {len(first)} columns, got {len(fields)}."
            )
    if _is_header(first):
        return _of_named(first, rows[1:], path.name, ignore)
    if list(ignore):
        raise FileFormatError(
            f"{path.name}: expected names in the first line, among which columns could be ignored, got "
            f"numbers. Write a first line such as id,e0,e1,..."
        )
    matrix = np.asarray([_numbers(fields, path.name, number) for number, fields in rows])
    _question(matrix, path.name)
    return EmbeddingSet(embeddings=matrix, origin=path.name)


def read_text(path: Path) -> EmbeddingSet:
    """Reads plain text: an image per line, its numbers separated by blanks, its name before them or not.

    That is what `numpy.savetxt` writes, and MagFace's feature lists ("path v1 v2 ...").

    Raises:
        FileFormatError: For a line of another length or a field that is no number, naming the line.
        EmptySetError: If there are no lines.
        InvalidInputError: If the table looks like something else than embeddings.
    """
    lines = [
        (number, line.split())
        for number, line in enumerate(_decoded(path).splitlines(), start=1)
        if line.strip()
    ]
    if not lines:
        raise EmptySetError(f"{path.name} holds no lines: expected at least one image.")
    is_prose = any(len(fields) > 1 for _, fields in lines)
    if is_prose and not any(is_number(field) for _, fields in lines for field in fields):
        raise FileFormatError(
            f"{path.name}: expected embeddings, numbers separated by blanks, found no number in it. Embeddings "
            f"are read from .npy, .npz, .csv, .tsv, .txt, .list, .h5, .hdf5 and .parquet files; states from "
            f".safetensors."
        )
    has_names = not is_number(lines[0][1][0])
    rows, names = [], []
    for number, fields in lines:
        if len(fields) != len(lines[0][1]):
            raise FileFormatError(
                f"{path.name}, line {number}: expected {len(lines[0][1])} fields separated by blanks, got "
                f"{len(fields)}. A name must hold no blank."
            )
        names.append(fields[0])
        rows.append(_numbers(fields[1:] if has_names else fields, path.name, number))
    matrix = np.asarray(rows)
    if not matrix.size:
        raise FileFormatError(
            f"{path.name}, line {lines[0][0]}: expected the numbers of an embedding, got the name alone."
        )
    _question(matrix, path.name)
    return EmbeddingSet(
        embeddings=matrix,
        sources=text_array(names, "names", path.name) if has_names else None,
        origin=path.name,
    )


def read_parquet(path: Path, *, ignore: Iterable[str] = ()) -> EmbeddingSet:
    """Reads a Parquet file: one image per row, columns as `probefusion.io.columns` says.

    The file metadata key `embedder` gives the embedder's fingerprint.

    Args:
        path: The file.
        ignore: Columns that are passed over.

    Raises:
        FileFormatError: If it is no Parquet file, lacks the embedding, has an unknown column, or holds
            several templates.
        MissingExtraError: If pyarrow is not installed.
    """
    table = read_parquet_table(path)
    names = table.column_names
    if {"template_id", "num_images", "embedding"} <= set(names):
        raise FileFormatError(
            f"{path.name}: expected the images of one person, got templates of {table.num_rows}. Read "
            f"them with TemplateSet.load, or compare one: probefusion compare {path.name}#ID OTHER"
        )
    columns = Columns.of(names, origin=path.name, ignore=ignore)
    if table.num_rows == 0:
        raise EmptySetError(f"{path.name} holds no rows: expected at least one image.")
    values: dict[str, Any] = {}
    for name, place in columns.known.items():
        if name in _LISTS:
            values[name] = list_matrix(
                table.column(place).combine_chunks(), names[place], path.name
            )
        elif name in _NUMBERS:
            values[name] = _number_column(table.column(place), names[place], path.name)
        else:
            values[name] = label_column(table.column(place), names[place], path.name)
    if columns.numbered:
        parts = [
            _number_column(table.column(place), names[place], path.name)
            for place in columns.numbered
        ]
        _refuse_whole_columns(table, columns, path.name)
        values["embedding"] = np.stack(parts, axis=1)
        if columns.are_nameless:
            question_shape(values["embedding"], origin=path.name)
            question_columns(values["embedding"], origin=path.name)
    if columns.index is not None:
        place = columns.index
        _check_index(
            np.asarray(table.column(place).to_numpy()), names[place], path.name, len(names)
        )
    return set_of_columns(
        values, embedder=metadata_text(table.schema, "embedder"), origin=path.name
    )


def _of_named(
    header: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    origin: str,
    ignore: Iterable[str],
) -> EmbeddingSet:
    columns = Columns.of(header, origin=origin, ignore=ignore)
    if not rows:
        raise EmptySetError(f"{in_one_line(origin)} holds no rows: expected at least one image.")
    values: dict[str, Any] = {}
    for name, place in columns.known.items():
        fields = [(number, row[place].strip()) for number, row in rows]
        if name in _LISTS:
            values[name] = _lists(fields, name, origin)
        elif name in _NUMBERS:
            values[name] = np.asarray([_number(text, origin, at, place) for at, text in fields])
        else:
            values[name] = text_array([text for _, text in fields], f"column {name!r}", origin)
    if columns.numbered:
        values["embedding"] = np.asarray(
            [[_number(row[k], origin, number, k) for k in columns.numbered] for number, row in rows]
        )
        if columns.are_nameless:
            _question(values["embedding"], origin)
    if columns.index is not None:
        texts = [row[columns.index] for _, row in rows]
        are_numbers = all(is_number(text) for text in texts)
        found = (
            np.asarray([float(text) for text in texts])
            if are_numbers
            else text_array(texts, "index", origin)
        )
        _check_index(found, header[columns.index], origin, len(header))
    return set_of_columns(values, embedder=None, origin=origin)


def _refuse_whole_columns(table: Any, columns: Columns, origin: str) -> None:
    """Refuses columns of integers among those of an embedding, as arrays of integers are refused.

    Raises:
        DtypeError: If there are any.
    """
    for place in columns.numbered:
        kind = table.column(place).type
        if not any(word in str(kind) for word in ("float", "double")):
            raise DtypeError(
                f"{in_one_line(origin)}: column {table.column_names[place]!r}: expected floating-point numbers, got "
                f"{kind}: an id, a label, a count? Leave it out (--ignore-columns), or save it as float."
            )


def _question(matrix: npt.NDArray[Any], origin: str) -> None:
    question_shape(matrix, origin=origin)
    question_columns(matrix, origin=origin)


def _check_index(values: npt.NDArray[Any], name: str, origin: str, num_columns: int) -> None:
    """Refuses an index that says something."""
    if not counts_rows(values):
        shown = ", ".join(map(str, values[:3].tolist()))
        raise FileFormatError(
            f"{in_one_line(origin)}: the column {name!r} of {num_columns}, as pandas writes an index, does not just "
            f"count the rows ({shown}, ...). Name it (source, media_id), or leave it out: --ignore-columns "
            f"'{name or UNNAMED}' (ignore=[...])."
        )


def _decoded(path: Path) -> str:
    with reading(path.name, "UTF-8 text"):
        return read_bytes(path, at_most=_LARGEST_CSV).decode("utf-8-sig")


def csv_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV text that hold something, with their line numbers.

    Args:
        text: The text; comma, semicolon or tab separates, whichever the first line shows.
        name: The file's name, for messages.

    Raises:
        FileFormatError: For a row that is no valid CSV, naming its line.
    """
    first_line = text.split("\n", 1)[0]
    delimiter = next((mark for mark in (";", "\t") if mark in first_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        is_first = True
        for fields in reader:
            if fields:
                if is_first and any(len(field.splitlines()) > 1 for field in fields):
                    raise FileFormatError(
                        f"{name}, line {reader.line_num}: expected the first row in one line, got a field of "
                        f"several: a quote is open."
                    )
                is_first = False
                yield reader.line_num, fields
    except csv.Error as error:
        raise FileFormatError(f"{name}, line {reader.line_num}: no valid CSV ({error}).") from error


def _is_header(fields: Sequence[str]) -> bool:
    """Whether a first row holds names: no number, or numbers that only count the columns."""
    numbers = [text.strip() for text in fields if is_number(text)]
    if not numbers:
        return True
    if not all(re.fullmatch(r"\d{1,6}", text) for text in numbers):
        return False
    start = int(numbers[0])
    counts = start in (0, 1) and [int(text) for text in numbers] == list(
        range(start, start + len(numbers))
    )
    return counts and (len(numbers) < len(fields) or len(numbers) >= _NUMBERED_HEADER)


def _numbers(fields: Sequence[str], origin: str, line: int) -> list[float]:
    return [_number(text, origin, line, place) for place, text in enumerate(fields)]


def _number(text: str, origin: str, line: int, place: int) -> float:
    if not is_number(text):
        raise FileFormatError(
            f"{in_one_line(origin)}, line {line}, column {place + 1}: expected a number, got {text[:40]!r}. Columns of "
            f"other things need names in the first line, as source,e0,e1,..."
        )
    return float(text)


def is_number(text: str) -> bool:
    """Whether a field is a number; 1_0 is none."""
    if "_" in text:  # Python reads 1_0 as 10; a table means something else
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lists(fields: Sequence[tuple[int, str]], name: str, origin: str) -> npt.NDArray[Any]:
    rows = []
    for line, text in fields:
        try:
            row = np.asarray(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected {name} as a list of numbers, [0.1, 0.2, ...], got "
                f"{text[:40]!r}."
            ) from error
        if row.ndim != 1 or row.dtype.kind not in "fi":
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected {name} as a list of numbers, got {text[:40]!r}."
            )
        rows.append(row.astype(np.float64))
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ShapeError(
            f"{in_one_line(origin)}: column {name!r} has rows of different lengths {lengths[:5]}."
        )
    return np.stack(rows)


def _number_column(column: Any, name: str, origin: str) -> npt.NDArray[np.float64]:
    """A Parquet column of numbers."""
    if column.null_count:
        raise FileFormatError(
            f"{in_one_line(origin)}: column {name!r} has {column.null_count} missing values."
        )
    values = np.asarray(column.to_numpy())
    if values.dtype.kind not in "fiu":
        raise DtypeError(
            f"{in_one_line(origin)}: column {name!r} must hold numbers, got {column.type}."
        )
    return values.astype(np.float64)
