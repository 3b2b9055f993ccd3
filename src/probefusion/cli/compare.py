"""`probefusion compare`: how alike are two people's templates, or those of two files of many?"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.effects import check_effects, refuse
from probefusion.cli.options import (
    add_embedding_options,
    add_fuser_option,
    add_output_options,
    positive,
)
from probefusion.cli.pipeline_options import (
    pipeline_of,
    report_skipped,
    usability_facts,
)
from probefusion.cli.strangers import (
    add_strangers_options,
    report_problems,
    screening_facts,
    tell_screening,
)
from probefusion.files.reading import in_one_line

if TYPE_CHECKING:
    from probefusion.pipeline import Comparison, Pipeline
    from probefusion.types import TemplateSet

__all__ = ["add_parser", "run"]

_TOP = 10
"""Templates listed for one person beside a file of many."""

_LISTED = 5
"""Templates that are named where many are not usable; all are in the result of --json."""


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "compare",
        help="cosine similarity of two templates, sets, images or folders",
        description="Prints the cosine of two templates and, where the fuser carries calibrated "
        "thresholds, the decision with its false match rate. Sets, images and folders are fused first. "
        "One template of a file of many is FILE#ID. Two files of many: for each template of A the most "
        "similar one of B is printed; a file with itself: the most similar other one. One person and a file "
        "of many: its most similar templates.",
    )
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")
    parser.add_argument(
        "--fmr",
        type=float,
        default=1e-3,
        metavar="RATE",
        help="false match rate to decide at, a fraction (default 0.001)",
    )
    parser.add_argument(
        "--fpir",
        type=float,
        metavar="RATE",
        help="for one person beside a file of many: rate of the whole search to decide at, instead of --fmr",
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="what probefusion calibrate -o FILE measured (default: that of the fuser, where there is one)",
    )
    parser.add_argument(
        "--top",
        type=positive,
        metavar="N",
        help="templates listed for one person beside a file of many (default 10)",
    )
    add_strangers_options(parser)
    add_fuser_option(parser)
    add_embedding_options(parser, labels=True)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compares and prints; 3 if images were skipped, or a side is not usable or seems to be of several people."""
    from probefusion.cli.phases import progress_by_unit

    check_effects(options, (options.first, options.second))
    pipeline = pipeline_of(options)
    sets = [_many_templates(path) for path in (options.first, options.second)]
    if sets[0] is not None and sets[1] is not None:
        _refuse_search_options(options)
        is_same = Path(options.first).samefile(options.second)
        among = None if is_same else sets[1]
        found = pipeline.compare_people(sets[0], among, false_match_rate=options.fmr)
        _print_people(found, sets[0], options)
        return _warn_of_people(found)
    many = next((found for found in sets if found is not None), None)
    if many is not None:
        person = options.second if sets[0] is many else options.first
        return _search(pipeline, person, many, options)
    _refuse_search_options(options)
    titles = {f"images of {side}": f"embedding {side}" for side in "AB"}
    with progress_by_unit(titles, units=dict.fromkeys(titles, "images")) as progress:
        comparison = pipeline.compare(
            options.first,
            options.second,
            false_match_rate=options.fmr,
            progress=progress,
            strangers=options.strangers,
        )
    _print_comparison(comparison, options)
    return _warn_of(comparison)


def _warn_of(comparison: Comparison) -> int:
    """Says what is wrong with either side; gives the exit code."""
    report_problems(comparison.problems)
    report_skipped(comparison.skipped)
    return 3 if comparison.problems or comparison.skipped else 0


def _warn_of_people(found: Sequence[Comparison]) -> int:
    """Counts templates that are not usable or too poor for the threshold; gives the exit code."""
    poor = False
    for side, name in enumerate(("A", "B")):
        known = {(item.ids or ("", ""))[side]: item.usability[side] for item in found}
        bad = [each for each, usability in known.items() if usability.is_not_usable]
        if bad:
            poor = True
            listed = ", ".join(bad[:_LISTED]) + (" ..." if len(bad) > _LISTED else "")
            print(
                f"warning: {name}: {len(bad)} of {len(known)} templates are not usable: {listed}",
                file=sys.stderr,
            )
    told = (threshold_told for item in found if (threshold_told := _not_verified(item)))
    counts = Counter(told)
    for text, count in counts.items():
        print(f"warning: {count} of {len(found)} decisions: {text}", file=sys.stderr)
    return 3 if poor else 0


def _not_verified(comparison: Comparison) -> str:
    """Why the threshold of a decision may not hold, without names and numbers; "" where it does."""
    if comparison.threshold is None:
        return ""
    verdicts = {usability.verdict for usability in comparison.usability}
    if verdicts & {"doubtful", "not usable"}:
        return "the threshold is not verified for faces this poor"
    if "not known" in verdicts:
        return "how poor the images are is not known, so nor is whether the threshold holds"
    return ""


def _tell_sides(comparison: Comparison, sides: tuple[str, str]) -> None:
    """Prints what there is to know of either side and is no warning."""
    for name, screening, choice in zip(
        sides, comparison.screening, comparison.face_choice, strict=True
    ):
        is_single = screening is not None and screening.num_images == 1  # nobody else can be in it
        tell_screening(None if is_single else screening, choice, side=name)


def _search(
    pipeline: Pipeline, person: str, among: TemplateSet, options: argparse.Namespace
) -> int:
    """One person beside a file of many: its most similar templates."""
    from probefusion.cli.phases import progress_by_unit

    with progress_by_unit({"images": "embedding"}) as progress:
        found = pipeline.search(
            person,
            among,
            false_match_rate=options.fmr,
            false_positive_rate=options.fpir,
            progress=progress,
            strangers=options.strangers,
        )
    best = found[: options.top or _TOP]
    if options.json:
        candidates = [{"id": _id(comparison), **_facts(comparison)} for comparison in best]
        made_by = {"fuser": best[0].fuser, "embedder": best[0].embedder}
        print(json.dumps({**made_by, "candidates": candidates}, indent=2))
    else:
        width = max(len(_id(comparison)) for comparison in best)
        for comparison in best:
            print(f"{_id(comparison):{width}}  {comparison.similarity:7.4f}{_verdict(comparison)}")
        if len(found) > len(best):
            print(f"and {len(found) - len(best)} less similar (--top {len(found)} lists all)")
        if best[0].threshold is not None or options.fpir is not None:
            _print_basis(best[0])
        _tell_sides(best[0], ("the person: ", ""))
    return _warn_of(best[0])


_VERDICTS = {None: "", True: "  match", False: "  no match"}


def _id(comparison: Comparison) -> str:
    return "" if comparison.ids is None else comparison.ids[1]


def _verdict(comparison: Comparison) -> str:
    return _VERDICTS[comparison.is_match]


def _many_templates(text: str) -> TemplateSet | None:
    """The templates of a file of several, of which none is named; else None."""
    from probefusion.io import kind_of, split_id
    from probefusion.types import TemplateSet

    file, name = split_id(text)
    if name is not None or kind_of(file) != "templates":
        return None
    templates = TemplateSet.load(file)
    return templates if len(templates) > 1 else None


def _print_comparison(comparison: Comparison, options: argparse.Namespace) -> None:
    threshold = comparison.threshold
    if options.json:
        made_by = {"fuser": comparison.fuser, "embedder": comparison.embedder}
        print(json.dumps({**made_by, **_facts(comparison)}, indent=2))
        return
    print(f"similarity {comparison.similarity:.4f}")
    if threshold is not None:
        print(f"{_VERDICTS[comparison.is_match].strip()}: {threshold}")
    _print_basis(comparison)
    _tell_sides(comparison, ("A: ", "B: "))


def _print_basis(comparison: Comparison) -> None:
    """What the decision rests on and does not cover, or why there is none; warnings on standard error."""
    from probefusion.fusion.decisions import NOT_COVERED, MeasuredThreshold

    threshold = comparison.threshold
    if threshold is None:
        print(f"no decision: {comparison.why_none}")
    elif isinstance(threshold, MeasuredThreshold):
        if threshold.gallery_size is not None:
            print(f"at {threshold.rate_in_words} ({threshold.measured_on})")
        elif comparison.ids is not None:
            print(f"at {threshold.rate_in_words}, that of each comparison")
        print(threshold.elsewhere_in_words)
        print(f"not covered: {NOT_COVERED}")
    for warning in comparison.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _refuse_search_options(options: argparse.Namespace) -> None:
    from probefusion.errors import ConfigError

    if options.fpir is not None:
        raise ConfigError(
            "--fpir: a rate of searches is for one person beside a file of several templates. For two people, or "
            "two files, give --fmr."
        )
    if options.top is not None:
        given = f"two people, or two files ({in_one_line(options.first)} and 1 more)"
        raise refuse("--top", given, "one person beside a file of many")


def _print_people(
    found: Sequence[Comparison], first: TemplateSet, options: argparse.Namespace
) -> None:
    """A line, or an entry of the JSON, for each template of A."""
    ids = [comparison.ids or ("", "") for comparison in found]
    if options.json:
        matches = [
            {"id": name, "best_id": best, **_facts(comparison)}
            for (name, best), comparison in zip(ids, found, strict=True)
        ]
        facts = {"fuser": first.fuser, "embedder": first.embedder, "matches": matches}
        print(json.dumps(facts, indent=2))
        return
    widths = [max(len(pair[side]) for pair in ids) for side in (0, 1)]
    for (name, best), comparison in zip(ids, found, strict=True):
        verdict = _verdict(comparison)
        print(f"{name:{widths[0]}}  {best:{widths[1]}}  {comparison.similarity:7.4f}{verdict}")


def _facts(comparison: Comparison) -> dict[str, Any]:
    from probefusion.fusion.decisions import NOT_COVERED, MeasuredThreshold

    threshold = comparison.threshold
    measured = threshold if isinstance(threshold, MeasuredThreshold) else None
    return {
        "similarity": comparison.similarity,
        "num_images": list(comparison.num_images),
        "threshold": None if threshold is None else threshold.similarity,
        "false_match_rate": None if threshold is None else threshold.false_match_rate,
        "threshold_source": None if threshold is None else threshold.source,
        "is_match": comparison.is_match,
        "usability": [usability_facts(found) for found in comparison.usability],
        "why_no_decision": comparison.why_none,
        "measured_rate": None if measured is None else [measured.low, measured.high],
        "rate_elsewhere": None if measured is None else measured.elsewhere,
        "measured_on": None if threshold is None else threshold.measured_on,
        "looks": None if measured is None else list(measured.looks),
        "gallery_size": None if measured is None else measured.gallery_size,
        "not_covered": None if measured is None else NOT_COVERED,
        "warnings": list(comparison.warnings),
        "problems": list(comparison.problems),
        **_facts_of_sides(comparison),
    }


def _facts_of_sides(comparison: Comparison) -> dict[str, Any]:
    """What was said of the images of either side, and how faces were chosen in them."""
    sides = [
        screening_facts(screening, choice)
        for screening, choice in zip(comparison.screening, comparison.face_choice, strict=True)
    ]
    return {name: [side[name] for side in sides] for name in sides[0]}
