"""`probefusion gallery move`: contributions and images go to another person."""

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
        "move",
        help="give contributions or images to another person",
        description="Gives contributions or single images to NAME, whoever has them: also what was held back or taken "
        "out. gallery show and gallery held print the ids. For a new person: split.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="who gets them, or the person's id")
    parser.add_argument(
        "--contributions", type=name_list, default=(), metavar="ID,ID", help="contributions to give"
    )
    parser.add_argument(
        "--images", type=name_list, default=(), metavar="ID,ID", help="images to give"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Moves."""
    from probefusion.errors import ConfigError

    if not options.contributions and not options.images:
        raise ConfigError(
            "--contributions, --images: expected ids to give away, got none. gallery show prints them."
        )
    with open_gallery(options) as gallery:
        revision = gallery.move(
            options.name, contributions=options.contributions, images=options.images
        )
        num_images = gallery.person(options.name).num_images
    report_change(
        options,
        "move",
        revision,
        f"{options.name}: {num_images} images in all",
        contributions=list(options.contributions),
        images=list(options.images),
        num_images=num_images,
    )
    return 0
