"""`probefusion verify`: are these images of a named person of a gallery?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_inputs import (
    add_image_options,
    exit_code,
    fuse_inputs,
    fused_facts,
    warn,
)
from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "verify",
        help="whether images are of a named person of a gallery",
        description="Fuses the inputs, which are of one person, and compares them with one person of a gallery.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("name", metavar="NAME", help="name of the person")
    add_image_options(parser)
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument(
        "--fmr",
        type=float,
        metavar="RATE",
        help="decide at this rate of false matches (default 0.001)",
    )
    rates.add_argument("--threshold", type=float, metavar="SIM", help="decide at this similarity")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies; 3 if inputs were left out. Whether it is a match is printed, and no exit code."""
    with open_gallery(options, fuser=options.fuser) as gallery:
        name = gallery.person(options.name).name
        fused = fuse_inputs(options)
        found = gallery.verify(name, fused, fmr=options.fmr, threshold=options.threshold)
    if options.json:
        facts = {
            "gallery": options.gallery,
            "collection": options.collection,
            **asdict(found),
            **fused_facts(fused),
        }
        print(json.dumps(facts, indent=2))
    else:
        word = {None: "no decision", True: "match", False: "no match"}[found.is_match]
        limit = "" if found.threshold is None else f", threshold {found.threshold:.3f}"
        rate = (
            ""
            if found.false_match_rate is None
            else f" at a false match rate of {found.false_match_rate:g}"
        )
        query, person = found.num_images
        print(
            f"{found.name}: {word}: similarity {found.similarity:.3f}{limit}{rate}; {query} images against {person}"
        )
        if found.why_none is not None:
            print(f"no threshold: {found.why_none}", file=sys.stderr)
        for warning in found.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    warn(fused)
    return exit_code(fused)
