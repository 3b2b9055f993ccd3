"""`probefusion gallery show`: what there is of a person."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.adding import contribution_facts
from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "show",
        help="what there is of a person, with ids",
        description="Prints what there is of a person: contributions and images with their ids, as remove, move, split "
        "and gallery forget take them.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Shows."""
    with open_gallery(options) as gallery:
        person = gallery.person(options.name)
    if options.json:
        parts = [contribution_facts(part) for part in person.contributions]
        print_json(options, **{**asdict(person), "contributions": parts})
        return 0
    ignored = ", matches are ignored" if person.is_ignored else ""
    print(
        f"{person.name} ({person.id}): {person.num_images} images, since {person.created}{ignored}"
    )
    if person.different_from:
        print(f"known to be different from: {', '.join(person.different_from)}")
    for part in person.contributions:
        print(
            f"  {part.id} {part.kind} {part.time} {part.num_images} images {part.source}".rstrip()
        )
        for image in part.images:
            out = " (taken out)" if image.is_left_out else ""
            print(f"    {image.id} {image.source}".rstrip() + out)
    return 0
