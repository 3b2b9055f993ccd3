"""`probefusion gallery held`: what was held back until somebody has looked at it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.adding import contribution_facts
from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.results import Doubt

__all__ = ["add_parser", "held_doubts", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "held",
        help="what waits to be accepted or rejected",
        description="Prints what was held back and why, the oldest first, with ids as gallery accept and gallery "
        "reject take them.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists."""
    with open_gallery(options) as gallery:
        rows = gallery.held()
    if options.json:
        print_json(
            options, held=[{"name": name, **contribution_facts(view)} for name, view in rows]
        )
        return 0
    for name, view in rows:
        print(f"{view.id} for {name}: {view.num_images} images, {view.time} {view.source}".rstrip())
        for doubt in view.doubts:
            print(f"    {doubt}")
    if not rows:
        print("nothing is held back")
    return 0


def held_doubts(gallery: Gallery, contribution: str) -> tuple[Doubt, ...]:
    """Why a contribution was held back; () if it is not, which `accept` and `reject` tell."""
    return next((view.doubts for _, view in gallery.held() if view.id == contribution), ())
