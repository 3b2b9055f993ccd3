"""`probefusion undo`: takes a change of a gallery back."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "undo",
        help="take a change of a gallery back",
        description="Takes a change back, exactly: templates are the same bit for bit. Without REVISION the newest "
        "change of the actor that was not undone. An undo can be undone as well.",
    )
    add_gallery_options(parser)
    parser.add_argument(
        "revision",
        nargs="?",
        type=int,
        metavar="REVISION",
        help="whose change ever, see gallery history",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Undoes."""
    with open_gallery(options) as gallery:
        revision = gallery.undo(options.revision)
        (change,) = gallery.history(before=revision + 1, limit=1)
        (undone,) = gallery.history(before=(change.undoes or 0) + 1, limit=1)
    report_change(
        options,
        "undo",
        revision,
        f"change {undone.revision} ({undone.action}) is undone",
        undoes=undone.revision,
        undone_action=undone.action,
    )
    return 0
