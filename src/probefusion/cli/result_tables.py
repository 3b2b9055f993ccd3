"""Tables of rates on a terminal, as wide as it is."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["print_table", "short_name"]

_PADDING = 3
"""Blanks that a column takes beside its text."""


def short_name(fuser: str) -> str:
    """A fuser's name without what it was trained on; what stands behind a comma is kept."""
    name, comma, rest = fuser.partition(",")
    return name.partition(".")[0] + comma + rest


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
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
