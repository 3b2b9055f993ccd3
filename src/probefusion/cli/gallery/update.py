"""`probefusion update`: adds images to a person of a gallery."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.gallery.adding import added_facts, tell_added
from probefusion.cli.gallery.inputs import (
    add_input_options,
    input_facts,
    read_person,
    source_of,
    tell_input,
)
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "update",
        help="add images to a person of a gallery",
        description="Adds images to a person. Images that are closer to another person, unlike the person, or of "
        "several people are held back until somebody accepts or rejects them.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="name of the person")
    add_input_options(parser)
    parser.add_argument(
        "--no-guard",
        dest="guard",
        action="store_false",
        help="hold nothing back; doubts are told all the same",
    )
    parser.add_argument("--source", default="", metavar="TEXT", help="where the images are from")
    parser.add_argument(
        "--keep",
        choices=("features", "state"),
        default="features",
        help="what is kept of the images, see enroll (default features)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Adds; 3 if images were left out or held back, or there is something to warn of."""
    with open_gallery(options, keep=options.keep) as gallery:
        gallery.person(options.name)  # before the images are embedded
        given = read_person(options)
        added = gallery.update(options.name, given, guard=options.guard, source=source_of(options))
    if options.json:
        print(json.dumps({**added_facts(added, options, "update"), **input_facts(given)}, indent=2))
    else:
        tell_added(added, options)
    code = tell_input(given, options)
    return code or (3 if added.doubts else 0)
