"""`probefusion gallery re-fuse`: all templates by another fuser, beside those that serve."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery.changes import print_change
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
        "re-fuse",
        help="work out all templates by another fuser, beside the old ones",
        description="Works out all templates by another fuser, or by a MODEL that is there. Can be stopped and given "
        "again. gallery serve then decides by it. Exit code 3 if it cannot use some contributions.",
    )
    add_gallery_options(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--fuser", metavar="NAME|DIR", help="the new fuser")
    which.add_argument("--model", metavar="ID", help="a model that gallery models lists")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses anew; 3 if contributions cannot be used."""
    from probefusion.cli.phases import progress_by_unit
    from probefusion.errors import ProbeFusionError

    with open_gallery(options) as gallery, progress_by_unit({"people": "fusing"}) as show:
        model = options.model or gallery.add_model(fuser=options.fuser)
        try:
            missing = gallery.re_fuse(
                model, progress=lambda done, total: show("people", done, total)
            )
        except ProbeFusionError:
            if options.model is None:  # it would stand in the way of every later change
                gallery.drop_model(model)
            raise
        revision = gallery.revision
        num_people = len(gallery)
    if options.json:
        print_change(
            options,
            "re-fuse",
            revision,
            model=model,
            num_people=num_people,
            missing=list(missing),
        )
    else:
        serve = gallery_command(options, "gallery serve", model)
        print(
            f"model {model}: {num_people} people fused, {len(missing)} contributions it cannot use; to decide by it: "
            f"{serve}"
        )
    return 3 if missing else 0
