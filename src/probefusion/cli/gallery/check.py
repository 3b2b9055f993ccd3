"""`probefusion gallery check`: are all templates those of the contributions?"""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "check",
        help="work out all templates again and compare them",
        description="Works out all templates again from the contributions and compares them bit by bit. Exit code 1 if "
        "one differs.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Checks; 1 if there is a fault."""
    with open_gallery(options) as gallery:
        faults = gallery.check()
        num_people = len(gallery)
    if options.json:
        print_json(options, num_people=num_people, faults=list(faults))
    else:
        for fault in faults:
            print(fault)
        print(f"{num_people} people checked, {len(faults)} faults")
    return 1 if faults else 0
