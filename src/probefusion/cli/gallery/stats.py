"""`probefusion gallery stats`: how much there is."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
    shown_address,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "stats",
        help="how much a gallery holds",
        description="Prints how many people and images a gallery holds, its revision, and the model that serves. "
        "Exit code 3 if rows are damaged.",
    )
    add_gallery_options(parser, changes=False)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Counts."""
    with open_gallery(options) as gallery:
        stats = gallery.stats()
    if options.json:
        print_json(options, **asdict(stats))
        return 3 if stats.damaged else 0
    for words in stats.damaged:
        print(f"warning: damaged: {words}", file=sys.stderr)
    model = stats.model
    print(
        f"{shown_address(options)}, collection {stats.collection}: {stats.num_people} people "
        f"({stats.num_hidden} removed or merged), {stats.num_images} images "
        f"in {stats.num_contributions} contributions ({stats.num_held} held), "
        f"{stats.num_bytes} bytes, revision {stats.revision}, "
        f"{'encrypted' if stats.is_encrypted else 'not encrypted'}"
    )
    if model is not None:
        print(
            f"model {model.id}: {model.fuser} of {model.embedder or 'an unnamed embedder'}, {model.dim} dimensions"
        )
    return 3 if stats.damaged else 0
