"""`probefusion gallery models|re-fuse|serve|rollback`: another embedder or fuser beside the one that serves."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)
from probefusion.cli.gallery_told import report_change

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    models = commands.add_parser("models", help="embedders and fusers of a gallery")
    add_gallery_options(models, changes=False)
    re_fuse = commands.add_parser(
        "re-fuse",
        help="work out all templates by another fuser, beside those that serve",
        description="Works out all templates by another fuser, or by a MODEL that is there. Can be stopped and given "
        "again. gallery serve then decides by it.",
    )
    add_gallery_options(re_fuse)
    which = re_fuse.add_mutually_exclusive_group(required=True)
    which.add_argument("--fuser", metavar="NAME|DIR", help="the new fuser")
    which.add_argument("--model", metavar="ID", help="a model that gallery models lists")
    serve = commands.add_parser("serve", help="decide by another model from now on")
    add_gallery_options(serve)
    serve.add_argument("model", metavar="MODEL", help="its id, as gallery models lists it")
    rollback = commands.add_parser("rollback", help="go back to the model that served before")
    add_gallery_options(rollback)
    pairs = ((models, _models), (re_fuse, _re_fuse), (serve, _serve), (rollback, _rollback))
    for parser, run in pairs:
        add_json_option(parser)
        parser.set_defaults(run=run)


def _models(options: argparse.Namespace) -> int:
    from probefusion.cli.terminal_tables import print_table

    with open_gallery(options) as gallery:
        rows = gallery.models()
    if options.json:
        facts = {"collection": options.collection, "models": [asdict(row) for row in rows]}
        print(json.dumps(facts, indent=2))
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


def _re_fuse(options: argparse.Namespace) -> int:
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
        facts = {"collection": options.collection, "action": "re-fuse", "model": model}
        facts |= {"num_people": num_people, "missing": list(missing), "revision": revision}
        print(json.dumps(facts, indent=2))
    else:
        print(
            f"model {model}: {num_people} people fused, {len(missing)} contributions it cannot use; to decide by it: "
            f"{gallery_command(options, 'gallery serve', model)}"
        )
    return 3 if missing else 0


def _serve(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.serve(options.model)
    words = f"model {options.model} serves; to go back: probefusion gallery rollback"
    report_change(options, "serve", revision, words, model=options.model)
    return 0


def _rollback(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.rollback()
        model = next(row.id for row in gallery.models() if row.status == "serving")
    report_change(options, "rollback", revision, f"model {model} serves again", model=model)
    return 0
