"""`probefusion gallery history`: all changes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.gallery.stores.records import ChangeRow

__all__ = ["add_parser", "run"]

_SUBJECTS = 3
"""Ids that stand in a line; all are in the result of --json."""


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "history",
        help="changes, the newest first",
        description="Prints changes, the newest first, with the revisions that undo takes.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("name", nargs="?", metavar="NAME", help="only what concerns this person")
    parser.add_argument("--limit", type=positive, metavar="N", help="so many at most")
    parser.add_argument(
        "--before",
        type=positive,
        metavar="REVISION",
        help="only changes before this revision: the last one that was printed leads to older ones",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists changes."""
    from probefusion.cli.terminal_tables import print_table

    with open_gallery(options) as gallery:
        rows = gallery.history(options.name, limit=options.limit, before=options.before)
    if options.json:
        print_json(options, changes=[_facts(row) for row in rows])
        return 0
    print_table(
        ("REVISION", "TIME", "ACTOR", "ACTION", "OF", "NOTE"),
        [
            (
                str(row.revision),
                row.time,
                row.actor or "-",
                row.action,
                " ".join(row.subjects[:_SUBJECTS])
                + (" ..." if len(row.subjects) > _SUBJECTS else ""),
                _note(row),
            )
            for row in rows
        ],
        right=("REVISION",),
    )
    return 0


def _note(row: ChangeRow) -> str:
    if row.undone_by is not None:
        return f"undone by {row.undone_by}"
    return "" if row.undoes is None else f"undoes {row.undoes}"


def _facts(row: ChangeRow) -> dict[str, Any]:
    return {
        "revision": row.revision,
        "time": row.time,
        "actor": row.actor,
        "action": row.action,
        "subjects": list(row.subjects),
        "undoes": row.undoes,
        "undone_by": row.undone_by,
    }
