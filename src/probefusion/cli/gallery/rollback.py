"""`probefusion gallery rollback`: the model before decides again."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "rollback",
        help="go back to the model that served before",
        description="Decides by the model that served last before, if it has everything that was added since.",
    )
    add_gallery_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Goes back."""
    with open_gallery(options) as gallery:
        revision = gallery.rollback()
        model = next(row.id for row in gallery.models() if row.status == "serving")
    report_change(options, "rollback", revision, f"model {model} serves again", model=model)
    return 0
