"""`probefusion evaluate`: fusers on a protocol, a report out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
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
from probefusion.cli.terminal_tables import print_result_table, short_name

if TYPE_CHECKING:
    from probefusion.pipeline.evaluation import Evaluation

__all__ = ["add_parser", "run"]

_PROTOCOLS = ("degraded-folder", "ijbb", "ijbc", "ijbs", "tinyface", "ytf")


def add_parser(commands: Any) -> None:
    """Declares the command."""
    command = parser = commands.add_parser(
        "evaluate",
        help="evaluate fusers on a protocol and write a report",
        description="Embeds gallery and probes once, fuses them with every fuser named, and writes "
        "report.json, report.md and report.html. The first fuser is the reference of the others. "
        "degraded-folder works on any folder of aligned crops; ijbb, ijbc, ijbs, tinyface and ytf need "
        "your own licensed copy, and take embeddings that you have already.",
    )
    parser.add_argument("protocol", choices=_PROTOCOLS)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR|ZIP",
        help="folder (or zip) of aligned 112x112 crops, one folder per person; or the benchmark's folder",
    )
    add_embedder_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--fuser",
        action="append",
        metavar="NAME|DIR",
        help="may be given several times (default: mean, and norm-weighted where embeddings keep their length)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    licensed = parser.add_argument_group("ijbb, ijbc, ijbs, tinyface, ytf")
    licensed.add_argument(
        "--chunks",
        type=number_list,
        default=(),
        metavar="LIST",
        help="fuse this many images at a time too, as 4,8,32,64,128,256 in the official table",
    )
    licensed.add_argument(
        "--embeddings",
        metavar="FILE",
        help="embeddings made before: .npy with a row per image in the benchmark's order (ijbb, ijbc: the "
        "loose-crop list), or .npz with embeddings and names; --embedder then states what made them",
    )
    licensed.add_argument(
        "--flipped",
        action="store_true",
        help="rows of --embeddings hold image and mirror image one after the other; they are added",
    )
    licensed.add_argument("--images", metavar="DIR", help="face crops of ijbs")
    licensed.add_argument("--detector", metavar="MODEL", help="YuNet, for tinyface and ytf")
    licensed.add_argument(
        "--any-counts",
        action="store_true",
        help="accept copies of other than the published size (that of ijbc is told and not checked)",
    )
    parser = parser.add_argument_group("degraded-folder")
    parser.add_argument("--mix", choices=("hard", "mixed", "clean"), default="hard")
    parser.add_argument(
        "--folds",
        type=number_list,
        default=(3,),
        metavar="LIST",
        help="people to test on (default 3)",
    )
    parser.add_argument(
        "--sizes", type=number_list, default=(1, 2, 4, 8, 16, 32, 64), metavar="LIST"
    )
    parser.add_argument("--num-sets", type=positive, default=4, metavar="N", help="per person")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicates", type=positive, default=1000, metavar="N")
    parser = command
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are kept (default: OUTPUT.work); an interrupted run goes on from there",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_trust_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluates and writes the report; 3 if images of the data were skipped."""
    from probefusion.cli.phases import progress_of_phases
    from probefusion.pipeline.evaluate import FOLDER_PROTOCOL, evaluate

    is_folder = options.protocol == FOLDER_PROTOCOL
    steps = "fusers x sizes" if is_folder else "fusers x chunks"
    with progress_of_phases() as phase:
        result = evaluate(
            options.protocol,
            options.data,
            fusers=options.fuser or None,
            embedder=options.embedder,
            preprocessing=options.preprocessing,
            norm_output=options.norm_output,
            embeddings=options.embeddings,
            flipped=options.flipped,
            chunks=options.chunks,
            images=options.images,
            detector=options.detector,
            check_counts=not options.any_counts,
            mix=options.mix,
            folds=options.folds,
            set_sizes=options.sizes,
            num_sets=options.num_sets,
            seed=options.seed,
            num_replicates=options.replicates,
            output=options.output,
            cache=options.cache,
            device=options.device,
            num_threads=options.threads,
            force=options.force,
            trust_alignment=options.trust_alignment,
            on_embed=phase("embedding", "images"),
            on_score=phase("scoring", steps),
        )
    if options.json:
        print(json.dumps(result.facts, indent=2, allow_nan=False))
    else:
        _print(result)
        print(f"report: {Path(options.output) / 'report.html'}")
    report_skipped(result.skipped)
    return 3 if result.skipped else 0


def _print(result: Evaluation) -> None:
    """The main figures, and what could not be measured."""
    for title, header, rows in result.summary():
        print_result_table(title, header, [[short_name(row[0]), *row[1:]] for row in rows])
    if result.limits:
        print("not measured, or not to be relied on:")
        for limit in result.limits:
            print(f"  {limit}")
