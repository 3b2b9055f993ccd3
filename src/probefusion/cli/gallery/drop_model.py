"""`probefusion gallery drop-model`: a model that is not needed any more."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_change
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "drop-model",
        help="take a model and all templates by it away",
        description="Takes a model that does not serve away, with all templates by it. It cannot be undone; what "
        "contributions keep stays, so that gallery re-fuse makes it anew.",
    )
    add_gallery_options(parser)
    parser.add_argument("model", metavar="MODEL", help="its id, as gallery models lists it")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Drops it."""
    with open_gallery(options) as gallery:
        revision = gallery.drop_model(options.model)
    if options.json:
        print_change(options, "drop-model", revision, model=options.model)
    else:
        print(f"model {options.model} is taken away, revision {revision}")
    return 0
