"""`probefusion gallery reject`: what was held back is taken from the list."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.adding import doubt_facts
from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.held import held_doubts
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
        "reject",
        help="take what was held back from the list",
        description="Takes what was held back from the list. It counts for nobody, and is kept until it is forgotten.",
    )
    add_gallery_options(parser)
    parser.add_argument("contribution", metavar="ID", help="as gallery held lists it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rejects it."""
    with open_gallery(options) as gallery:
        doubts = held_doubts(gallery, options.contribution)
        revision = gallery.reject(options.contribution)
    erase = gallery_command(
        options, "gallery forget", "--contribution", options.contribution, "--yes"
    )
    words = f"{options.contribution} is rejected; to erase it: {erase}"
    if not options.json:
        for doubt in doubts:
            print(f"it was held back: {doubt}")
    report_change(
        options,
        "reject",
        revision,
        words,
        contribution=options.contribution,
        doubts=doubt_facts(doubts),
    )
    return 0
