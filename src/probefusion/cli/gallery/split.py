"""`probefusion split`: a person of a gallery is two."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.options import name_list

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "split",
        help="a person of a gallery is two",
        description="Gives some of what NAME has to a new person INTO: the contributions or images that are named, "
        "or else the images that by screening seem to be of somebody else.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    parser.add_argument("into", metavar="INTO", help="name of the new person")
    parser.add_argument(
        "--contributions", type=name_list, default=(), metavar="ID,ID", help="contributions to give"
    )
    parser.add_argument(
        "--images", type=name_list, default=(), metavar="ID,ID", help="images to give"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Splits."""
    with open_gallery(options) as gallery:
        revision = gallery.split(
            options.name, options.into, contributions=options.contributions, images=options.images
        )
        counts = {name: gallery.person(name).num_images for name in (options.name, options.into)}
    words = f"{options.into}: {counts[options.into]} images; {options.name}: {counts[options.name]} left"
    report_change(
        options,
        "split",
        revision,
        words,
        into=options.into,
        num_images=counts[options.name],
        num_images_into=counts[options.into],
    )
    return 0
