"""`probefusion gallery removed`: who is not shown any more, and still kept."""

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
        "removed",
        help="people who were removed or merged, and are still kept",
        description="Prints people who are not shown any more, of whom all is still kept, with their ids. undo brings "
        "them back; gallery forget with the id erases one.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists."""
    with open_gallery(options) as gallery:
        people = gallery.removed()
    if options.json:
        print_json(
            options,
            people=[
                {**asdict(person), "merged_into": person.merged_into or None} for person in people
            ],
        )
        return 0
    for person in people:
        merged = f", merged into {person.merged_into}" if person.merged_into else ""
        print(f"{person.id} {person.name}, since {person.created}{merged}")
    if not people:
        print("nobody was removed")
    return 0
