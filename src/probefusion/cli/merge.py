"""`probefusion merge`: two people of a gallery are one."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery_told import report_change

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "merge",
        help="two people of a gallery are one",
        description="Gives all that OTHER has to NAME, who stays. probefusion undo separates the two again.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="the person who stays")
    parser.add_argument("other", metavar="OTHER", help="the person who is merged into the first")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Merges."""
    with open_gallery(options) as gallery:
        merged = gallery.merge(options.name, options.other)
    report_change(
        options,
        "merge",
        merged.revision,
        f"{options.other} is merged into {options.name}",
        other=options.other,
    )
    return 0
