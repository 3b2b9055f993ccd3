"""`probefusion gallery cannot-link`: two people are different."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "cannot-link",
        help="two people are different: they are never merged",
        description="Notes that two people are different. merge then refuses them.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="one, or the person's id")
    parser.add_argument("other", metavar="OTHER", help="the other, or the person's id")
    parser.add_argument("--off", action="store_true", help="take the note back")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Notes it."""
    with open_gallery(options) as gallery:
        revision = gallery.cannot_link(options.name, options.other, not options.off)
    how = "may be one person again" if options.off else "are different people"
    words = f"{options.name} and {options.other} {how}"
    facts = {"other": options.other, "are_different": not options.off}
    report_change(options, "cannot-link", revision, words, **facts)
    return 0
