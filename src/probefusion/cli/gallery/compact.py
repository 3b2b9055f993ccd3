"""`probefusion gallery compact`: sums in place of images' features."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery.receipts import receipt_facts, tell_pending, tell_receipt
from probefusion.cli.gallery.times import moment

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "compact",
        help="keep sums in place of images' features; cannot be undone",
        description="Puts the sum over each contribution in place of the features of its images, which are erased: "
        "less room, less kept of people. Single images cannot be taken out or explained any more, and the gallery not "
        "moved to another fuser. Templates stay as they are. Prints a receipt, as gallery forget.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="one person (default: all)")
    parser.add_argument(
        "--before",
        type=moment,
        metavar="TIME",
        help="only what was taken before, as 2026-11-28 or 2026-11-28T08:00:00+01:00 (UTC without a zone)",
    )
    parser.add_argument("--yes", action="store_true", help="yes, erase: it cannot be undone")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compacts; 3 if something still keeps bytes."""
    from probefusion.errors import ConfigError

    if not options.yes:
        raise ConfigError(
            "--yes: expected, as erasing the features of images cannot be undone; got none."
        )
    with open_gallery(options) as gallery:
        row = gallery.compact(options.name, before=options.before)
    if options.json:
        print_json(options, receipt=None if row is None else receipt_facts(row))
    elif row is None:
        print("nothing to compact")
    else:
        tell_receipt(row)
    return 0 if row is None else tell_pending([row], options)
