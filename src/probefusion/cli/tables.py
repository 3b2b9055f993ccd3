"""Tables on standard output: as wide as the terminal allows, or as they need to be in a file."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

__all__ = ["print_table", "table_text"]

_UNLIMITED = 10_000
"""Columns of a file or pipe."""


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
