"""`probefusion update`: adds images to a person of a gallery; what may be of somebody else is held back."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.enroll import add_keep_option, tell_there
from probefusion.cli.gallery_added import added_facts, tell_added
from probefusion.cli.gallery_inputs import (
    add_image_options,
    contribution_from,
    exit_code,
    fingerprint_of,
    fuse_inputs,
    warn,
)
from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "update",
        help="add images to a person of a gallery",
        description="Adds images to a person of a gallery. Images that seem to be of somebody else are held back "
        "until gallery accept or gallery reject (exit code 3).",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="name of the person")
    add_image_options(parser)
    parser.add_argument("--no-guard", action="store_true", help="add all, hold nothing back")
    parser.add_argument(
        "--visit", action="store_true", help="note it as a visit, not as an update by hand"
    )
    add_keep_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Adds; 3 if something was held back or left out, 130 if it was interrupted."""
    fingerprint = fingerprint_of(options.paths)
    with open_gallery(options, fuser=options.fuser, keep=options.keep) as gallery:
        name = gallery.person(options.name).name
        there = contribution_from(gallery, name, fingerprint)
        if there is not None:
            tell_there(options, there)
            return 0
        fused = fuse_inputs(options)
        added = gallery.update(
            name,
            fused,
            guard=not options.no_guard,
            source=f"{options.paths[0]} {fingerprint}".strip(),
            kind="visit" if options.visit else "update",
        )
    if options.json:
        print(json.dumps(added_facts(options, "update", added, fused), indent=2))
    else:
        tell_added(options, added)
    warn(fused)
    return exit_code(fused) or (3 if added.is_held else 0)
