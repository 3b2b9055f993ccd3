"""`probefusion gallery accept`: what was held back is added."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.adding import added_facts, doubt_facts, likeness_facts, tell_added
from probefusion.cli.gallery.changes import print_change
from probefusion.cli.gallery.held import held_doubts
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "accept",
        help="add what was held back",
        description="Adds what was held back to its person. If it is somebody else's: gallery move.",
    )
    add_gallery_options(parser)
    parser.add_argument("contribution", metavar="ID", help="as gallery held lists it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Adds it."""
    with open_gallery(options) as gallery:
        doubts = held_doubts(gallery, options.contribution)
        added = gallery.accept(options.contribution)
    if options.json:
        told = {"doubts": doubt_facts(doubts), "likeness": likeness_facts(added.likeness)}
        print_change(options, "accept", added.revision, **{**added_facts(added), **told})
    else:
        for doubt in doubts:
            print(f"it was held back: {doubt}")
        if added.likeness is not None:
            print(f"how alike it and {added.name} were: {added.likeness}")
        tell_added(added, options)
    return 0
