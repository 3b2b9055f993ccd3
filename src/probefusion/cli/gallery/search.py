"""`probefusion search`: who of a gallery is this?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.explained import explanation_facts, tell_explanation
from probefusion.cli.gallery.inputs import add_input_options, input_facts, read_person, tell_input
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
    shown_address,
)
from probefusion.cli.gallery.rates import DECISIONS, add_rate_options, rates_of
from probefusion.cli.options import positive
from probefusion.cli.pipeline_options import usability_facts

if TYPE_CHECKING:
    from probefusion.gallery.results import RankedPerson, SearchResult
    from probefusion.gallery.verbs.explanation import MatchExplanation

__all__ = ["add_parser", "ranked_facts", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "search",
        help="find who of a gallery the images are of",
        description="Fuses the images, and prints the most similar people of the gallery with the threshold for each "
        "and the decision. The search is exact.",
    )
    add_gallery_options(parser, changes=False)
    add_rate_options(parser, searches=True)
    parser.add_argument(
        "--top", type=positive, default=5, metavar="K", help="people to print (default 5)"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print which contributions and images of the first person carried it",
    )
    parser.add_argument(
        "--model",
        metavar="ID",
        help="search by this model (default: the one that serves, or another that fits the images)",
    )
    add_json_option(parser)
    add_input_options(parser, templates=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Searches; 3 if images were left out or there is something to warn of."""
    rates = rates_of(options)  # before the images are embedded
    with open_gallery(options) as gallery:
        given = read_person(options)
        result = gallery.search(given, top_k=options.top, model=options.model, **rates)
        explanation = None
        if options.explain and result.candidates:
            explanation = gallery.explain(given, result.candidates[0].name)
    if options.json:
        print(json.dumps(_facts(result, explanation, options) | input_facts(given), indent=2))
    else:
        _tell(result, explanation)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    code = tell_input(given, options)
    judged = (result.usability, *(person.usability for person in result.candidates[:1]))
    is_bad = any(each is not None and each.is_not_usable for each in judged)
    return code or (3 if is_bad or result.num_damaged else 0)


def ranked_facts(person: RankedPerson) -> dict[str, Any]:
    """A candidate for `--json`."""
    return {**asdict(person), "warnings": list(person.warnings)}


def _facts(
    result: SearchResult, explanation: MatchExplanation | None, options: argparse.Namespace
) -> dict[str, Any]:
    return {
        "gallery": shown_address(options),
        "collection": options.collection,
        "revision": result.revision,
        "model": result.model_id,
        "match": result.name,
        "num_images": result.num_images,
        "gallery_size": result.gallery_size,
        "false_match_rate": result.false_match_rate,
        "false_positive_rate": result.false_positive_rate,
        "why_none": result.why_none,
        "usability": usability_facts(result.usability),
        "warnings": list(result.warnings),
        "num_damaged": result.num_damaged,
        "candidates": [ranked_facts(person) for person in result.candidates],
        "explanation": explanation_facts(explanation),
    }


def _tell(result: SearchResult, explanation: MatchExplanation | None) -> None:
    from probefusion.cli.terminal_tables import print_table

    images = "1 image" if result.num_images == 1 else f"{result.num_images} images"
    print(f"{images} against {_people(result.gallery_size)}{_rate_in_words(result)}")
    if not result.candidates:
        print("nobody")
    else:
        print_table(
            ("SIMILARITY", "THRESHOLD", "", "IMAGES", "NAME"),
            [_row(person) for person in result.candidates],
            right=("SIMILARITY", "THRESHOLD", "IMAGES"),
        )
    if result.why_none is not None and result.candidates:
        open_ones = sum(person.is_match is None for person in result.candidates)
        about = "" if open_ones == len(result.candidates) else f" about {open_ones} of them"
        print(f"no decision{about}: {result.why_none}")
    for person in result.candidates[:1]:
        for warning in person.warnings:
            print(f"warning: {person.name}: {warning}", file=sys.stderr)
    if explanation is not None:
        tell_explanation(explanation)


def _row(person: RankedPerson) -> tuple[str, ...]:
    limit = "" if person.threshold is None else f"{person.threshold:.3f}"
    word = DECISIONS[person.is_match] + (" (ignored)" if person.is_ignored else "")
    return f"{person.similarity:.3f}", limit, word, str(person.num_images), person.name


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _rate_in_words(result: SearchResult) -> str:
    if result.false_positive_rate is not None:
        return f", decided at a false positive rate of {result.false_positive_rate:g} of searches"
    if result.false_match_rate is not None:
        return f", decided at a false match rate of {result.false_match_rate:g} of comparisons"
    return ""
