"""`probefusion gallery forget`: erasing, which cannot be undone."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery.receipts import receipt_facts, tell_pending, tell_receipt

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "forget",
        help="erase people, a contribution or an image; cannot be undone",
        description="Erases people, a contribution or an image and prints a receipt for each. Exit code 3 if one says "
        "'pending': something still keeps bytes; gallery receipts --finish goes on later. Several people are "
        "one change: all or nobody.",
    )
    add_gallery_options(parser)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="people, or their ids; also who was removed"
    )
    parser.add_argument("--contribution", metavar="ID", help="or: a contribution, see gallery show")
    parser.add_argument("--image", metavar="ID", help="or: an image, see gallery show")
    parser.add_argument("--yes", action="store_true", help="yes, erase: it cannot be undone")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Erases; 3 if something still keeps bytes."""
    from probefusion.errors import ConfigError

    given = [bool(options.names), options.contribution is not None, options.image is not None]
    if sum(given) != 1:
        raise ConfigError(
            f"forget: expected names, --contribution or --image, and one of them; got {sum(given)}."
        )
    if not options.yes:
        what = ", ".join(map(repr, options.names)) or repr(options.contribution or options.image)
        raise ConfigError(
            f"--yes: expected, as erasing {what} cannot be undone; got none. To hide only: probefusion remove."
        )
    with open_gallery(options) as gallery:
        rows = (
            gallery.forget_people(options.names)
            if options.names
            else (gallery.forget(contribution=options.contribution, image=options.image),)
        )
    if options.json:
        print_json(options, receipts=[receipt_facts(row) for row in rows])
    else:
        for row in rows:
            tell_receipt(row)
    return tell_pending(rows, options)
