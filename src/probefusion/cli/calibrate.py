"""`probefusion calibrate`: which similarity decides, measured on people a fuser was not trained on."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from probefusion.cli.effects import check_calibration_effects
from probefusion.cli.options import (
    add_device_option,
    add_embedder_option,
    add_output_options,
    add_trust_option,
    number_list,
    positive,
)
from probefusion.cli.pipeline_options import report_skipped

if TYPE_CHECKING:
    from probefusion.fusion.calibration import CalibrationRecord, MeasuredRate
    from probefusion.pipeline.calibrate import Calibration

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "calibrate",
        help="measure which similarity decides, for any fuser and embedder",
        description="Measures similarities of different people, by the look and number of images of both "
        "sides, and stores what decides: for a fuser folder in it, for mean, norm-weighted and universal in "
        "-o FILE, which compare takes by --calibration FILE. Needs people with a folder each, or a pile of "
        "faces of different people, whom the fuser has not seen. The card of a fuser folder also gets thresholds "
        "of the degraded-folder protocol at false match rates 1e-2 to 1e-5, per set size, for a poor set beside "
        "one clean image. Rates that the comparisons cannot resolve are left out. Of 60 people or more with three "
        "images each it also measures what can be expected of a template, which fuse then says.",
    )
    parser.add_argument("fuser", metavar="FUSER", help="a fuser folder; with -o also a name")
    parser.add_argument("--data", required=True, metavar="DIR|ZIP")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="DIR|ZIP",
        help="more people, of another kind; may be given several times",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="file of the calibration")
    add_embedder_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--folds", type=number_list, metavar="LIST", help="of --data (default 3, or all)"
    )
    parser.add_argument(
        "--people", type=positive, default=1000, metavar="N", help="at most, of each data"
    )
    parser.add_argument(
        "--poor-people",
        type=positive,
        default=250,
        metavar="N",
        help="of whom degraded sets are made",
    )
    parser.add_argument(
        "--related-by",
        metavar="TEXT",
        help="people whose names agree up to it are related, not compared",
    )
    parser.add_argument(
        "--related",
        action="append",
        type=_pair,
        default=[],
        metavar="A,B",
        help="two people, or families as --related-by cuts them, who are related too; may be given several times",
    )
    parser.add_argument(
        "--medium-by",
        metavar="TEXT",
        help="files whose names agree up to it are of one film, not compared",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="PERSON",
        help="not taken, as mislabelled",
    )
    card = parser.add_argument_group("the card of a fuser folder")
    card.add_argument("--keep-card", action="store_true", help="leave its thresholds as they are")
    card.add_argument("--mix", choices=("hard", "mixed", "clean"), default="hard")
    card.add_argument("--sizes", type=number_list, default=(1, 2, 4, 8, 16, 32), metavar="LIST")
    card.add_argument("--num-sets", type=positive, default=4, metavar="N", help="per person")
    parser.add_argument(
        "--no-usability",
        dest="with_usability",
        action="store_false",
        help="do not measure what can be expected of templates",
    )
    parser.add_argument("--cache", metavar="DIR", help="where embeddings are kept")
    parser.add_argument("--threads", type=positive, metavar="N")
    add_trust_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def _pair(text: str) -> tuple[str, str]:
    """Two names with a comma between them."""
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise argparse.ArgumentTypeError(f"expected two names as A,B, got {text!r}")
    return names[0], names[1]


def run(options: argparse.Namespace) -> int:
    """Calibrates and rewrites the card; 3 if images of the data were skipped."""
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.calibrate import calibrate

    check_calibration_effects(options)
    with progress_bar("embedding", unit="images") as embedding:
        result = calibrate(
            options.fuser,
            options.data,
            embedder=options.embedder,
            preprocessing=options.preprocessing,
            norm_output=options.norm_output,
            also=options.also,
            output=options.output,
            num_people=options.people,
            num_poor=options.poor_people,
            related_by=options.related_by,
            related=options.related,
            medium_by=options.medium_by,
            leave_out=options.leave_out,
            keep_card=options.keep_card,
            with_usability=options.with_usability,
            mix=options.mix,
            folds=options.folds,
            set_sizes=options.sizes,
            num_sets=options.num_sets,
            cache=options.cache,
            device=options.device,
            num_threads=options.threads,
            force=options.force,
            trust_alignment=options.trust_alignment,
            on_embed=embedding,
        )
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.with_usability and result.why_no_usability is not None:
        print(f"usability was not measured: {result.why_no_usability}", file=sys.stderr)
    if options.json:
        print(json.dumps(_facts(result, has_card=options.output is None), indent=2))
    else:
        _print(result)
    report_skipped(result.skipped)
    return 3 if result.skipped else 0


def _facts(result: Calibration, *, has_card: bool) -> Any:
    """The card's thresholds, as ever, or all that was measured."""
    from dataclasses import asdict

    if has_card and result.thresholds:
        return result.facts
    record = result.record
    if record is None:
        return {}
    return {
        "path": None if result.path is None else str(result.path),
        "fuser": record.fuser,
        "embedder": record.embedder,
        "sources": [asdict(source) for source in record.sources],
        "strata": [asdict(stratum) for stratum in record.strata],
        "searches": [asdict(searches) for searches in record.searches],
        "gallery_sizes": None if record.gallery_sizes is None else list(record.gallery_sizes),
        "usability": None if result.usability_path is None else str(result.usability_path),
        "why_no_usability": result.why_no_usability,
    }


def _print(result: Calibration) -> None:
    for found in result.thresholds:
        print(
            f"N={found.num_images}: similarity {found.similarity:.4f} at FMR "
            f"{found.false_match_rate:g} ({found.num_non_mated} comparisons)"
        )
    for size, rate, count in result.unresolved:
        print(f"N={size}: FMR {rate:g} needs {1 / rate:,.0f} comparisons, there are {count:,}")
    if result.record is not None:
        _print_record(result.record)
        print(f"written to {result.path}")
    if result.usability is not None:
        fitted = result.usability.fitted_on
        print(
            f"usability: measured on {fitted['num_sets']:,} sets of {fitted['num_people']:,} people, usable from a "
            f"predicted similarity of {result.usability.level:.3f}; written to {result.usability_path}"
        )


def _print_record(record: CalibrationRecord) -> None:
    """What stated rates came to on people that were not fitted."""
    from probefusion.evaluation.unlike_populations import LEAST_POPULATIONS

    num_kinds = len(record.sources)
    if num_kinds >= LEAST_POPULATIONS:
        print(f"elsewhere: in 95 of 100 populations unlike these {num_kinds}, corrected")
    else:
        print(
            f"{num_kinds} of {LEAST_POPULATIONS} kinds of people that it takes to say how far a rate may be off for "
            "people unlike them (--also adds some)"
        )
    for stratum in record.strata:
        first, second = (
            f"{look} N={size}" for look, size in zip(stratum.looks, stratum.num_images, strict=True)
        )
        rates = ", ".join(_rate(each) for each in stratum.rates) or "too few for any rate"
        print(f"{first} - {second} ({stratum.num_comparisons:,} comparisons): {rates}")
    for found in record.searches:
        rates = ", ".join(_rate(each) for each in found.rates) or "too few for any rate"
        print(f"gallery of {found.gallery_size:,} ({found.num_searches:,} searches): {rates}")
    sizes = record.gallery_sizes
    if sizes is None:
        print("searches: too few people to state a rate for a gallery of any size")
    else:
        print(
            f"searches: rates are stated for galleries of {sizes[0]:,} to {sizes[1]:,} people, and for no others"
        )


def _rate(measured: MeasuredRate) -> str:
    unlike = "" if measured.elsewhere is None else f"; elsewhere up to {measured.elsewhere:.2g}"
    return (
        f"{measured.stated:g} came to {measured.achieved:.2g} "
        f"({measured.low:.2g} to {measured.high:.2g}{unlike})"
    )
