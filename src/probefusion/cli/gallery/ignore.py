"""`probefusion gallery ignore`: matches with a person are not to be acted on."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "ignore",
        help="matches with a person are not to be acted on",
        description="Notes that matches with a person are not to be acted on. The person is found as before; the "
        "result says that it is ignored.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    parser.add_argument("--off", action="store_true", help="take the note back")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Notes it."""
    with open_gallery(options) as gallery:
        revision = gallery.ignore(options.name, not options.off)
    words = (
        f"{options.name}: matches are {'told as usual again' if options.off else 'marked ignored'}"
    )
    report_change(options, "ignore", revision, words, is_ignored=not options.off)
    return 0
