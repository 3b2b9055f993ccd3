"""`probefusion gallery held`: what was held back until somebody has looked at it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "held",
        help="what waits to be accepted or rejected",
        description="Prints what was held back, the oldest first, with ids as gallery accept and gallery reject take "
        "them.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists."""
    with open_gallery(options) as gallery:
        rows = gallery.held()
    if options.json:
        print_json(options, held=[{"name": name, **asdict(view)} for name, view in rows])
        return 0
    for name, view in rows:
        print(f"{view.id} for {name}: {view.num_images} images, {view.time} {view.source}".rstrip())
    if not rows:
        print("nothing is held back")
    return 0
