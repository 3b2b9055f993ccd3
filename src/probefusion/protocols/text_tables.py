r"""Reading the text tables of the benchmarks: strictly, with file and line number in every error.

One rule for all of them: `\n` or `\r\n` ends a line, blanks at the end of a line and blank lines
are passed over, a UTF-8 byte order mark at the start is passed over, UTF-16 is refused. Anything
else that is not what the format says is a `FileFormatError`. Line numbers start at 1 and count
blank lines and the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.files import check_file

__all__ = [
    "MAX_INTEGER",
    "format_error",
    "line_of_row",
    "list_files",
    "read_fields",
    "read_integer_columns",
    "read_lines",
    "real_numbers",
    "require_paths",
    "text_of",
    "whole_number",
]

MAX_INTEGER = 2**31 - 1
"""Largest number that a column of ids may hold: they are kept as int32."""

_MAX_REAL = 1e30
_REAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BLOCK_BYTES = 1 << 22
_MAX_LINE_BYTES = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

# What a byte may be in a table of whole numbers: 0 nothing allowed, 1 digit, 2 blank, 3 end of line.
_BYTE_CLASS = np.zeros(256, dtype=np.uint8)
_BYTE_CLASS[ord("0") : ord("9") + 1] = 1
_BYTE_CLASS[[ord(" "), ord("\t"), ord("\r")]] = 2
_BYTE_CLASS[ord("\n")] = 3


def format_error(path: Path, line: int, message: str) -> FileFormatError:
    """A `FileFormatError` whose message starts with the file's name and the line number."""
    return FileFormatError(f"{path.name}, line {line}: {message}")


def require_paths(paths: Iterable[Path], *, layout: str) -> None:
    """Refuses a copy of a benchmark that lacks one of `paths`.

    Args:
        paths: Files and folders that must exist.
        layout: The expected layout as text, for the message.

    Raises:
        MissingFileError: Naming the first path that is missing, and the layout.
    """
    for path in paths:
        if not path.exists():
            raise MissingFileError(
                f"{str(path)!r} does not exist (looked in {Path.cwd()}). Expected layout:\n{layout}"
            )


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that hold something, each with its number.

    Args:
        path: The file.

    Yields:
        (line number from 1, the line without blanks at either end).

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If it is UTF-16 or holds no line.
    """
    anything = False
    with _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                line = _without_mark(line, path)
            line = line.strip()
            if line:
                anything = True
                yield number, line
    if not anything:
        raise FileFormatError(f"{path.name} is empty. Download or unpack it again.")


def read_fields(
    path: Path,
    *,
    columns: Sequence[str],
    delimiter: str | None = None,
    more: bool = False,
    header: bool = False,
) -> Iterator[tuple[int, list[bytes]]]:
    """The fields of each line, blanks around them removed.

    Args:
        path: The file.
        columns: What the columns hold; their number is checked.
        delimiter: A single character, or None for any run of blanks.
        more: Whether further columns may follow; they are given too.
        header: Whether the first line is a header, which is then passed over.

    Yields:
        (line number, fields).

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If a line has another number of columns, or there is no line (after the
            header).
    """
    separator = None if delimiter is None else delimiter.encode()
    least = len(columns)
    seen_header = not header
    anything = False
    for number, line in read_lines(path):
        if not seen_header:
            seen_header = True
            continue
        fields = line.split(separator)
        if len(fields) < least or (len(fields) > least and not more):
            at_least = "at least " if more else ""
            raise format_error(
                path,
                number,
                f"expected {at_least}{least} columns ({', '.join(columns)}), got {len(fields)}: "
                f"{_excerpt(line)}. Restore the line or download the file again.",
            )
        if separator is not None:
            fields = [field.strip() for field in fields]
        anything = True
        yield number, fields
    if not anything:
        raise FileFormatError(
            f"{path.name} holds a header and nothing else. Download or unpack it again."
        )


def read_integer_columns(path: Path, *, columns: Sequence[str]) -> npt.NDArray[np.int32]:
    """A table of whole numbers separated by blanks, read in blocks and without a loop over lines.

    Args:
        path: The file.
        columns: What the columns hold; their number is checked in every line.

    Returns:
        (R, C) int32, one row per line that is not blank, in the order of the file.

    Raises:
        MissingFileError: If the file does not exist.
        FileFormatError: If the file is empty, a line has another number of columns, or a field is
            not a whole number from 0 to 2147483647; the message names the first such line.
    """
    parts: list[npt.NDArray[np.int32]] = []
    carry = b""
    line = 1
    first = True
    with _open(path) as stream:
        while True:
            chunk = stream.read(_BLOCK_BYTES)
            data = carry + chunk
            if first:
                data = _without_mark(data, path)
                first = False
            if chunk:
                end = data.rfind(b"\n") + 1
                data, carry = data[:end], data[end:]
                if len(carry) > _MAX_LINE_BYTES:
                    raise format_error(
                        path,
                        line + data.count(b"\n"),
                        f"expected {len(columns)} whole numbers, got a line longer than "
                        f"{_MAX_LINE_BYTES} bytes. This is not a text table; download it again.",
                    )
            elif data:
                data += b"\n"
            if data:
                parts.append(_parse_block(data, path, line, columns))
                line += data.count(b"\n")
            if not chunk:
                break
    if not sum(map(len, parts)):
        raise FileFormatError(f"{path.name} is empty. Download or unpack it again.")
    return np.concatenate(parts)


def line_of_row(path: Path, row: int, *, header: bool = False) -> int:
    """The line number of the `row`-th row that was read from a file; for messages.

    Args:
        path: The file, which must have that many rows.
        row: Position from 0 among the lines that are neither blank nor the header.
        header: Whether the first line that is not blank is a header.

    Returns:
        The line number from 1.
    """
    wanted = row + header
    for position, (number, _) in enumerate(read_lines(path)):
        if position == wanted:
            return number
    raise FileFormatError(f"{path.name} changed while it was read. Read it again.")


def whole_number(field: bytes, *, path: Path, line: int, name: str) -> int:
    """A field as a whole number from 0 to 2147483647; only the digits 0 to 9 are accepted.

    Raises:
        FileFormatError: If it is anything else, naming file, line and column.
    """
    if field.isdigit() and len(field) <= 18:
        value = int(field)
        if value <= MAX_INTEGER:
            return value
    raise format_error(
        path,
        line,
        f"{name}: expected a whole number from 0 to {MAX_INTEGER}, got {_excerpt(field)}. "
        f"Restore the line or download the file again.",
    )


def real_numbers(
    fields: Sequence[bytes], *, path: Path, line: int, names: Sequence[str]
) -> list[float]:
    """Fields as finite numbers of at most 1e30 in size.

    Raises:
        FileFormatError: If a field is anything else, naming file, line and column.
    """
    try:
        values = list(map(float, fields))
    except ValueError:
        values = []
    # float() also takes "nan", "inf" and "1_000", which no table holds.
    if len(values) == len(fields) and b"_" not in b"".join(fields):
        bounded = [abs(value) <= _MAX_REAL for value in values]
        if all(bounded):
            return values
    else:
        bounded = [_REAL.fullmatch(field) is not None for field in fields]
    which = bounded.index(False)
    raise format_error(
        path,
        line,
        f"{names[which]}: expected a number, got {_excerpt(fields[which])}. "
        f"Restore the line or download the file again.",
    )


def text_of(field: bytes, *, path: Path, line: int, name: str) -> str:
    """A field as text.

    Raises:
        FileFormatError: If it is empty or not UTF-8.
    """
    try:
        text = field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise format_error(
            path,
            line,
            f"{name}: expected UTF-8 text, got {_excerpt(field)}. Save the file as UTF-8.",
        ) from error
    if not text:
        raise format_error(path, line, f"{name}: expected a text, got an empty field.")
    return text


def list_files(folder: Path, *, suffixes: Iterable[str] = (".jpg", ".jpeg", ".png")) -> list[str]:
    """All image files below a folder as paths relative to it, with `/`, sorted by text.

    Args:
        folder: An existing folder.
        suffixes: Endings that count as images, compared in lower case.

    Returns:
        Relative paths; hidden files (name starts with a dot) are not images.
    """
    endings = frozenset(suffixes)
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in endings and not path.name.startswith(".")
    )


def _parse_block(
    data: bytes, path: Path, line: int, columns: Sequence[str]
) -> npt.NDArray[np.int32]:
    """The rows of `data`, which ends with a newline and starts at line number `line`."""
    codes = np.frombuffer(data, dtype=np.uint8)
    classes = _BYTE_CLASS[codes]
    width = len(columns)
    if classes.all():
        digit = np.concatenate(([False], classes == 1))
        edges = np.flatnonzero(digit[1:] != digit[:-1])
        starts, ends = edges[0::2], edges[1::2]
        breaks = np.flatnonzero(classes == 3)
        # Regular if every line closes after its own `width` numbers and before the next line's.
        if (
            len(starts) == width * len(breaks)
            and bool((ends[width - 1 :: width] <= breaks).all())
            and bool((starts[width::width] > breaks[:-1]).all())
            and int((ends - starts).max()) <= 9
        ):
            values = np.fromstring(data, dtype=np.int32, sep=" ")
            return values.reshape(-1, width)
    return _parse_lines(data, path, line, columns)


def _parse_lines(
    data: bytes, path: Path, line: int, columns: Sequence[str]
) -> npt.NDArray[np.int32]:
    """`_parse_block` line by line: finds what is wrong, or passes over blank lines."""
    rows: list[list[int]] = []
    for number, text in enumerate(data.split(b"\n")[:-1], start=line):
        fields = text.split()
        if not fields:
            continue
        if len(fields) != len(columns):
            raise format_error(
                path,
                number,
                f"expected {len(columns)} columns ({', '.join(columns)}), got {len(fields)}: "
                f"{_excerpt(text)}. Restore the line or download the file again.",
            )
        rows.append(
            [
                whole_number(field, path=path, line=number, name=name)
                for field, name in zip(fields, columns, strict=True)
            ]
        )
    return np.array(rows, dtype=np.int32).reshape(-1, len(columns))


def _open(path: Path) -> BinaryIO:
    return check_file(path).open("rb")


def _without_mark(data: bytes, path: Path) -> bytes:
    if data.startswith(_UTF16_MARKS):
        raise FileFormatError(f"{path.name} is UTF-16 text. Save it as UTF-8.")
    return data.removeprefix(_UTF8_MARK)


def _excerpt(text: bytes, *, longest: int = 60) -> str:
    shown = text[:longest].decode("utf-8", errors="replace")
    return repr(shown) + ("..." if len(text) > longest else "")
