"""`probefusion doctor`: what is wrong with an embedding pipeline?"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import (
    add_embedder_option,
    add_stance_option,
    detector_of,
    thread_count,
)
from probefusion.cli.pipeline_options import report_skipped, skipped_facts

if TYPE_CHECKING:
    from probefusion.pipeline import Diagnosis

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "doctor",
        help="find what is wrong with images, an embedder's settings, or stored embeddings",
        description="Looks for the commonest faults of an embedding pipeline on at most 64 images: exchanged "
        "channels, wrong scaling, crops that are turned, squashed or not aligned, a network exported in training "
        "mode, and, with --store, embeddings that are not of these images or this embedder. Exits with 3 if "
        "faults are found.",
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="aligned crops: a folder, best with a folder for each person, a zip archive, or files",
    )
    add_embedder_option(parser)
    parser.add_argument("--detector", metavar="MODEL", help="face detector, if IMAGES are photos")
    add_stance_option(parser)
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="IMAGES are aligned crops, as they are taken to be where there is no --detector",
    )
    parser.add_argument(
        "--store", metavar="FILE", help="embeddings made of the same images, to be compared"
    )
    parser.add_argument("--threads", type=thread_count, metavar="N", help="threads to use")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Looks and tells; 3 if there are faults."""
    from probefusion.errors import ConfigError
    from probefusion.pipeline import diagnose

    if options.aligned and options.detector is not None:
        raise ConfigError(
            "--aligned, --detector: expected one of the two, got both. Leave --aligned out if these are photos."
        )
    found = diagnose(
        options.images,
        options.embedder,
        detector=detector_of(options),
        store=options.store,
        preprocessing=options.preprocessing,
        norm_output=options.norm_output,
        num_threads=options.threads,
    )
    if options.json:
        print(json.dumps(_facts(found), indent=2))
    else:
        _print(found)
    report_skipped(found.skipped)
    return 3 if found.faults else 0


def _facts(found: Diagnosis) -> dict[str, Any]:
    return {
        "embedder": found.embedder,
        "num_images": found.num_images,
        "num_people": found.num_people,
        "mated_similarity": None if found.separation is None else found.separation[0],
        "non_mated_similarity": None if found.separation is None else found.separation[1],
        "num_faults": len(found.faults),
        "findings": [{**asdict(finding), "title": finding.title} for finding in found.findings],
        "skipped": skipped_facts(found.skipped),
    }


def _print(found: Diagnosis) -> None:
    from probefusion.cli.terminal_tables import print_table

    people = "" if found.num_people is None else f" of {found.num_people} people"
    print(f"{found.num_images} images{people}, embedder {found.embedder}")
    if found.separation is not None:
        mated, non_mated = found.separation
        print(f"mean similarity: mates {mated:.3f}, non-mates {non_mated:.3f}")
    rows = [(finding.title, finding.status, finding.evidence) for finding in found.findings]
    print_table(("check", "result", "evidence"), rows)
    for finding in found.faults:
        print(f"to do ({finding.title}): {finding.fix}")
    if not found.faults:
        print("no fault found")
