"""`probefusion merge`: two people of a gallery are one."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.adding import likeness_facts
from probefusion.cli.gallery.changes import report_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "merge",
        help="two people of a gallery are one",
        description="Gives all that OTHER has to NAME, who stays, and says how alike the two were. probefusion undo "
        "separates them again.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="the person who stays, or the person's id")
    parser.add_argument(
        "other", metavar="OTHER", help="the person who is merged into the first, or the id"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Merges."""
    with open_gallery(options) as gallery:
        merged = gallery.merge(options.name, options.other)
    report_change(
        options,
        "merge",
        merged.revision,
        str(merged),
        name=merged.name,
        other=merged.other,
        person_id=merged.person_id,
        likeness=likeness_facts(merged.likeness),
    )
    return 0
