"""`probefusion calibrate`: thresholds for a fuser from embedded people it was not trained on."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

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
    from probefusion.pipeline.calibrate import Calibration

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "calibrate",
        help="store decision thresholds with a fuser",
        description="Measures similarities of different people on the degraded-folder protocol and "
        "stores thresholds at false match rates 1e-2 to 1e-5, per set size, in the fuser's card. "
        "Rates that the comparisons cannot resolve are left out. Use people the fuser has not seen.",
    )
    parser.add_argument("fuser", metavar="FUSER_DIR")
    parser.add_argument("--data", required=True, metavar="DIR|ZIP")
    add_embedder_option(parser)
    add_device_option(parser)
    parser.add_argument("--mix", choices=("hard", "mixed", "clean"), default="hard")
    parser.add_argument("--folds", type=number_list, default=(3,), metavar="LIST")
    parser.add_argument("--sizes", type=number_list, default=(1, 2, 4, 8, 16, 32), metavar="LIST")
    parser.add_argument("--num-sets", type=positive, default=4, metavar="N", help="per person")
    parser.add_argument("--cache", metavar="DIR", help="where embeddings are kept")
    parser.add_argument("--threads", type=positive, metavar="N")
    add_trust_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Calibrates and rewrites the card; 3 if images of the data were skipped."""
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.calibrate import calibrate

    with progress_bar("embedding", unit="images") as embedding:
        result = calibrate(
            options.fuser,
            options.data,
            embedder=options.embedder,
            preprocessing=options.preprocessing,
            norm_output=options.norm_output,
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
    if options.json:
        print(json.dumps(result.facts, indent=2))
    else:
        _print(result)
    report_skipped(result.skipped)
    return 3 if result.skipped else 0


def _print(result: Calibration) -> None:
    for found in result.thresholds:
        print(
            f"N={found.num_images}: similarity {found.similarity:.4f} at FMR "
            f"{found.false_match_rate:g} ({found.num_non_mated} comparisons)"
        )
    for size, rate, count in result.unresolved:
        print(f"N={size}: FMR {rate:g} needs {1 / rate:,.0f} comparisons, there are {count:,}")
