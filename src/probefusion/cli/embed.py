"""`probefusion embed`: images in, an embedding set out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from probefusion.cli.effects import check_effects
from probefusion.cli.options import add_embedding_options, add_output_options, positive
from probefusion.cli.pipeline_options import pipeline_of, report_skipped, skipped_facts
from probefusion.cli.strangers import (
    add_strangers_options,
    report_problems,
    screening_facts,
    tell_screening,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "embed",
        help="turn images of one person into an embedding set",
        description="Turns images of one person into an embedding set (.npz) with style statistics.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="images, folders or zip archives")
    parser.add_argument("-o", "--output", required=True, metavar="SET.npz")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    parser.add_argument(
        "--one-person", action="store_true", help="all folders inside a folder are of one person"
    )
    add_strangers_options(parser)
    add_embedding_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embeds and saves; 3 if images were skipped, or seem to be of several people."""
    from probefusion.cli.progress import progress_bar
    from probefusion.files import check_ending, check_existing, check_not_input, check_output_file
    from probefusion.pipeline.folders import check_one_person

    check_output_file(options.output, force=options.force)
    check_not_input(options.output, options.paths)
    check_ending(options.output, ".npz")
    paths = [check_existing(path) for path in options.paths]
    check_effects(options, options.paths, takes_all=False)
    pipeline = pipeline_of(options)
    if not options.one_person:
        for path in paths:
            check_one_person(path, command="embed", output="SET.npz")
    with progress_bar("embedding", unit="images") as progress:
        report = pipeline.embed(paths, progress=progress, strangers=options.strangers)
    images = report.embedding_set
    images.save(options.output, force=options.force)
    if options.json:
        from probefusion.faces import faces_to_tell

        facts = {
            "output": str(Path(options.output)),
            "num_images": images.num_images,
            "dim": images.dim,
            "style_channels": 0 if images.style is None else images.style.shape[1],
            "embedder": images.embedder,
            "skipped": skipped_facts(report.skipped),
            "problems": list(report.problems),
            **screening_facts(report.screening, report.face_choice),
            "photos": faces_to_tell(report.faces),
        }
        print(json.dumps(facts, indent=2))
    else:
        print(f"{options.output}: {images.num_images} images, {images.dim} dimensions")
        tell_screening(report.screening, report.face_choice)
    report_problems(report.problems)
    report_skipped(report.skipped)
    return 3 if report.skipped or report.problems else 0
