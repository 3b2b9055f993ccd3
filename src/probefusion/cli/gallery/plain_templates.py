"""`probefusion gallery plain-templates`: a copy of templates for users of SQL."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "plain-templates",
        help="a copy of templates for users of SQL (PostgreSQL)",
        description="Keeps a copy of the templates of a gallery in PostgreSQL as vectors of pgvector, in the view "
        "probefusion.templates. The copy is never encrypted. Without an option it says whether there is one.",
    )
    add_gallery_options(parser, changes=False)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--enable", action="store_true", help="make the copy, and fill it")
    which.add_argument("--refresh", action="store_true", help="copy what changed since")
    which.add_argument(
        "--disable", action="store_true", help="drop the copy, for all collections of the database"
    )
    parser.add_argument(
        "--model", metavar="ID", help="by this model (default: the one that serves)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Makes, refreshes or drops the copy."""
    from probefusion.gallery.exchange.postgres_plain import PlainTemplates

    copied = 0
    with open_gallery(options) as gallery:
        plain = PlainTemplates(gallery)
        if options.disable:
            plain.disable()
        if options.enable:
            plain.enable()
        if options.refresh or (options.enable and len(gallery)):
            copied = plain.refresh(options.model)
        is_enabled, is_encrypted = plain.enabled, gallery.is_encrypted
    if options.json:
        print_json(options, is_enabled=is_enabled, num_copied=copied)
    elif is_enabled:
        print(f"there is a copy in probefusion.templates; {copied} templates copied")
        if not (options.enable or options.refresh):
            print(
                f"to refresh it: {gallery_command(options, 'gallery plain-templates', '--refresh')}"
            )
    else:
        print("there is no copy")
    if is_enabled and is_encrypted:
        print("warning: the gallery is encrypted, the copy is not.", file=sys.stderr)
    return 0
