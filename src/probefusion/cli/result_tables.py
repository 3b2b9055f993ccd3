"""Tables of rates on a terminal, as wide as it is."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["print_table", "short_name"]


def short_name(fuser: str) -> str:
    """A fuser's name without what it was trained on; what stands behind a comma is kept."""
    name, comma, rest = fuser.partition(",")
    return name.partition(".")[0] + comma + rest


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the first column is text, the others are numbers.

    Where the terminal is too narrow, cells are wrapped, never cut.

    Args:
        title: Above the table.
        header: Names of the columns.
        rows: Texts, as many in each row as in `header`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE, title_justify="left", title_style="bold")
    table.add_column(header[0], overflow="fold")
    for name in header[1:]:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
