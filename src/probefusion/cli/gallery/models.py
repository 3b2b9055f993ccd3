"""`probefusion gallery models`: embedders and fusers of a gallery."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "models",
        help="embedders and fusers of a gallery",
        description="Prints the models of a gallery: an embedder with a fuser each. One serves; others are being built "
        "or kept to go back to.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists."""
    from probefusion.cli.terminal_tables import print_table

    with open_gallery(options) as gallery:
        rows = gallery.models()
    if options.json:
        print_json(options, models=[asdict(row) for row in rows])
        return 0
    print_table(
        ("MODEL", "STATUS", "PEOPLE", "MISSING", "DIM", "FUSER", "EMBEDDER"),
        [
            (
                row.id,
                row.status,
                str(row.num_people),
                str(row.num_missing),
                str(row.dim),
                row.fuser,
                row.embedder or "-",
            )
            for row in rows
        ],
        right=("PEOPLE", "MISSING", "DIM"),
    )
    return 0
