"""`probefusion gallery serve`: another model decides."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "serve",
        help="decide by another model from now on",
        description="Decides by another model from now on. The one before is kept: gallery rollback goes back to it.",
    )
    add_gallery_options(parser)
    parser.add_argument("model", metavar="MODEL", help="its id, as gallery models lists it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lets it serve."""
    with open_gallery(options) as gallery:
        revision = gallery.serve(options.model)
    back = gallery_command(options, "gallery rollback")
    words = f"model {options.model} serves; to go back: {back}"
    report_change(options, "serve", revision, words, model=options.model)
    return 0
