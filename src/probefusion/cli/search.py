"""`probefusion search`: who of a gallery is this?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery_inputs import (
    add_image_options,
    exit_code,
    fuse_inputs,
    fused_facts,
    warn,
)
from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.gallery.results import SearchResult

__all__ = ["add_parser", "run"]

_WORDS = {None: "no decision", True: "match", False: "no match"}


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "search",
        help="find who of a gallery is most similar",
        description="Fuses the inputs, which are of one person, and finds the most similar people of a gallery.",
    )
    add_gallery_options(parser, changes=False)
    add_image_options(parser)
    parser.add_argument(
        "--top", type=positive, default=10, metavar="K", help="people to show at most (default 10)"
    )
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument(
        "--fmr",
        type=float,
        metavar="RATE",
        help="decide at this rate of false matches per comparison (default 0.001)",
    )
    rates.add_argument(
        "--fpir",
        type=float,
        metavar="RATE",
        help="decide at this rate of false matches per search in a gallery of this size",
    )
    rates.add_argument("--threshold", type=float, metavar="SIM", help="decide at this similarity")
    parser.add_argument(
        "--explain", action="store_true", help="what of the first candidate carried the similarity"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Searches; 3 if inputs were left out."""
    with open_gallery(options, fuser=options.fuser) as gallery:
        fused = fuse_inputs(options)
        found = gallery.search(
            fused,
            top_k=options.top,
            fmr=options.fmr,
            fpir=options.fpir,
            threshold=options.threshold,
        )
        why = None
        if options.explain and found.candidates:
            why = gallery.explain(fused, found.candidates[0].name)
    if options.json:
        facts = {
            "gallery": options.gallery,
            "collection": options.collection,
            **asdict(found),
            "match": found.name,
            "explanation": None if why is None else asdict(why),
            **fused_facts(fused),
        }
        print(json.dumps(facts, indent=2))
    else:
        _tell(found)
        if why is not None:
            print(why)
    warn(fused)
    return exit_code(fused)


def _tell(found: SearchResult) -> None:
    from probefusion.cli.terminal_tables import print_table

    rate = "the given threshold"
    if found.false_match_rate is not None:
        rate = f"a false match rate of {found.false_match_rate:g}"
    if found.false_positive_rate is not None:
        rate = f"a false positive rate of {found.false_positive_rate:g} a search"
    size = f"{found.gallery_size} people"
    print(f"{found}; query of {found.num_images} images, gallery of {size}, at {rate}")
    if found.candidates:
        rows = [
            (
                f"{each.similarity:.3f}",
                "-" if each.threshold is None else f"{each.threshold:.3f}",
                _WORDS[each.is_match] + (", ignored" if each.is_ignored else ""),
                str(each.num_images),
                each.name,
            )
            for each in found.candidates
        ]
        print_table(
            ("SIMILARITY", "THRESHOLD", "DECISION", "IMAGES", "NAME"),
            rows,
            right=("SIMILARITY", "THRESHOLD", "IMAGES"),
        )
    if found.why_none is not None:
        print(f"no threshold: {found.why_none}", file=sys.stderr)
    for warning in dict.fromkeys(text for each in found.candidates[:1] for text in each.warnings):
        print(f"warning: {warning}", file=sys.stderr)
