"""`probefusion gallery held|accept|reject`: what was held back until somebody has looked at it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_adding import added_facts, tell_added
from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery_told import report_change

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    held = commands.add_parser("held", help="what waits to be accepted or rejected")
    add_gallery_options(held, changes=False)
    accept = commands.add_parser("accept", help="add what was held back")
    reject = commands.add_parser("reject", help="take what was held back from the list")
    for parser in (accept, reject):
        add_gallery_options(parser)
        parser.add_argument("contribution", metavar="ID", help="as gallery held lists it")
    for parser, run in ((held, _held), (accept, _accept), (reject, _reject)):
        add_json_option(parser)
        parser.set_defaults(run=run)


def _held(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        rows = gallery.held()
    if options.json:
        facts = [{"name": name, **asdict(view)} for name, view in rows]
        print(json.dumps({"collection": options.collection, "held": facts}, indent=2))
        return 0
    for name, view in rows:
        print(f"{view.id} for {name}: {view.num_images} images, {view.time} {view.source}".rstrip())
    if not rows:
        print("nothing is held back")
    return 0


def _accept(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        added = gallery.accept(options.contribution)
    if options.json:
        print(json.dumps(added_facts(added, options, "accept"), indent=2))
    else:
        tell_added(added, options)
    return 0


def _reject(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.reject(options.contribution)
    words = f"{options.contribution} is rejected; to erase it: probefusion gallery forget --contribution"
    report_change(options, "reject", revision, words, contribution=options.contribution)
    return 0
