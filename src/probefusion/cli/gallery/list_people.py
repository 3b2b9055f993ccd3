"""`probefusion gallery list`: who is there."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "list",
        help="names of all people, one a line",
        description="Prints the names of all people, one a line, in order. Who was removed: gallery removed.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists."""
    with open_gallery(options) as gallery:
        names = gallery.list()
    if options.json:
        print_json(options, people=list(names))
        return 0
    for name in names:
        print(name)
    return 0
