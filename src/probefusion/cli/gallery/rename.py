"""`probefusion gallery rename`: another name for a person."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "rename",
        help="give a person another name",
        description="Gives a person another name. The name must be free.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    parser.add_argument("new_name", metavar="NEW", help="the new name")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Renames."""
    with open_gallery(options) as gallery:
        revision = gallery.rename(options.name, options.new_name)
    words = f"{options.name} is now {options.new_name}"
    report_change(options, "rename", revision, words, new_name=options.new_name)
    return 0
