"""`probefusion remove`: takes a person, a contribution or an image out; it can be undone."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "remove",
        help="take a person, a contribution or an image out of a gallery",
        description="Takes a person, a contribution or an image out. It is kept, so that probefusion undo brings it "
        "back; probefusion gallery forget erases.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the person, or the person's id")
    parser.add_argument("--contribution", metavar="ID", help="or: a contribution, see gallery show")
    parser.add_argument("--image", metavar="ID", help="or: an image, see gallery show")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Removes."""
    with open_gallery(options) as gallery:
        revision = gallery.remove(
            options.name, contribution=options.contribution, image=options.image
        )
    what = options.name or options.contribution or options.image
    report_change(
        options,
        "remove",
        revision,
        f"{what} is taken out, and kept for undo; to erase: probefusion gallery forget",
        contribution=options.contribution,
        image=options.image,
    )
    return 0
