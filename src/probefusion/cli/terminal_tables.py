"""Tables on standard output: as wide as the terminal allows, or as they need to be in a file."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

__all__ = ["print_result_table", "print_table", "short_name", "short_names", "table_text"]

_UNLIMITED = 10_000
"""Columns of a file or pipe."""

_PADDING = 3
"""Blanks that a column takes beside its text."""


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Prints rows under their columns' names.

    On a terminal long cells are folded so that no line is wider than it; elsewhere each row is one line.

    Args:
        columns: Names of the columns.
        rows: A text per column each.
        right: Columns whose texts stand at the right.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(table_text(columns, rows, right=right, width=width))


def table_text(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """Rows under their columns' names, without a line break at the end.

    Args:
        columns: Names of the columns.
        rows: A text per column each.
        right: Columns whose texts stand at the right.
        width: Characters in a line at most, long cells are folded; None for one line a row.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(
            Text(name),
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=width is None,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(
        file=io.StringIO(), width=width or _UNLIMITED, color_system=None, highlight=False
    )
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def short_name(fuser: str) -> str:
    """A fuser's name without what it was trained on; what stands behind a comma is kept."""
    name, comma, rest = fuser.partition(",")
    return name.partition(".")[0] + comma + rest


def short_names(fusers: Sequence[str]) -> list[str]:
    """Short names of several fusers; those that would be alike are given whole."""
    short = [short_name(fuser) for fuser in fusers]
    return [
        name if short.count(name) == 1 else fuser for name, fuser in zip(short, fusers, strict=True)
    ]


def print_result_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is text, the others are numbers.

    Columns that do not fit the terminal follow in a further table; nothing is cut.

    Args:
        title: Above the table.
        header: Names of the columns.
        rows: Texts, as many in each row as in `header`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) + _PADDING for column in range(len(header))]
    for columns in _parts(widths, console.width):
        table = Table(title=title, box=box.SIMPLE, title_justify="left", title_style="bold")
        table.add_column(header[0], overflow="fold")
        for column in columns:
            table.add_column(header[column], justify="right", overflow="fold")
        for row in rows:
            table.add_row(row[0], *(row[column] for column in columns))
        console.print(table)


def _parts(widths: Sequence[int], width: int) -> list[list[int]]:
    """The columns after the first, in groups that fit beside it."""
    left = max(width - widths[0] - 1, 1)
    parts: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        used = sum(widths[other] for other in parts[-1])
        if parts[-1] and used + widths[column] > left:
            parts.append([])
        parts[-1].append(column)
    return parts
