"""`probefusion gallery wait`: until somebody has changed a gallery."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery.times import seconds

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "wait",
        help="wait until somebody has changed it",
        description="Waits until the collection has a newer revision, and prints it. Exit code 3 if there is none in "
        "time.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument(
        "--after",
        type=int,
        metavar="REVISION",
        help="the revision that is known (default: that of the moment)",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds (default 60)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Waits; 3 if nothing came."""
    with open_gallery(options) as gallery:
        after = gallery.revision if options.after is None else options.after
        revision = gallery.wait(after=after, timeout=options.seconds)
    is_new = revision > after
    if options.json:
        print_json(options, after=after, revision=revision, is_new=is_new)
    else:
        print(f"revision {revision}" + ("" if is_new else ", as before"))
    return 0 if is_new else 3
