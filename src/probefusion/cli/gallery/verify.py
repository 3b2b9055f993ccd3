"""`probefusion verify`: are these images of a named person of a gallery?"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.explained import explanation_facts, tell_explanation
from probefusion.cli.gallery.inputs import add_input_options, input_facts, read_person, tell_input
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery.rates import DECISIONS, add_rate_options, rates_of

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "verify",
        help="tell whether images are of a named person of a gallery",
        description="Fuses the images and compares them with one person of the gallery. The exit code says whether the "
        "comparison was made, not whether it is a match: that is in the decision, and in is_match of --json.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    add_rate_options(parser)
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print which contributions and images of the person carried it",
    )
    add_json_option(parser)
    add_input_options(parser, templates=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies; 3 if images were left out or there is something to warn of."""
    rates = rates_of(options)  # before the images are embedded
    with open_gallery(options) as gallery:
        gallery.person(options.name)  # before the images are embedded
        given = read_person(options)
        found = gallery.verify(options.name, given, **rates)
        explanation = gallery.explain(given, options.name) if options.explain else None
    if options.json:
        print_json(
            options,
            **asdict(found),
            explanation=explanation_facts(explanation),
            **input_facts(given),
        )
    else:
        limit = "" if found.threshold is None else f", threshold {found.threshold:.3f}"
        rate = (
            ""
            if found.false_match_rate is None or found.threshold is None
            else f" at a false match rate of {found.false_match_rate:g}"
        )
        print(
            f"{found.name}: similarity {found.similarity:.3f}{limit}{rate}: {DECISIONS[found.is_match]}"
        )
        if found.why_none is not None:
            print(f"no decision: {found.why_none}")
        if explanation is not None:
            tell_explanation(explanation)
    for warning in found.warnings:
        print(f"warning: {found.name}: {warning}", file=sys.stderr)
    is_bad = any(usability.is_not_usable for usability in found.usability)
    return tell_input(given, options) or (3 if is_bad else 0)
