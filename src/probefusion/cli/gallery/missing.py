"""`probefusion gallery missing`: of which contributions a model has nothing yet."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "missing",
        help="contributions that a model cannot use yet",
        description="Prints the ids of contributions of which a model has nothing to work with yet, one a line. Exit "
        "code 3 if there are any; gallery re-embed gives it what it lacks.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("model", metavar="MODEL", help="its id, as gallery models lists it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists; 3 if there are any."""
    with open_gallery(options) as gallery:
        ids = gallery.missing(options.model)
    if options.json:
        print_json(options, model=options.model, missing=list(ids))
    else:
        for item in ids:
            print(item)
    return 3 if ids else 0
