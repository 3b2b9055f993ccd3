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
    add_stance_option,
    add_trust_option,
    detector_of,
    name_list,
    number_list,
    positive,
)
from probefusion.cli.pipeline_options import report_skipped
from probefusion.cli.terminal_tables import print_result_table, short_names

if TYPE_CHECKING:
    from probefusion.pipeline.evaluation import Evaluation

__all__ = ["add_parser", "run"]

_PROTOCOLS = ("degraded-folder", "media-folder", "ijbb", "ijbc", "ijbs", "tinyface", "ytf")


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate fusers on a protocol and write a report",
        description="Embeds gallery and probes once, fuses them with every fuser named, and writes "
        "report.json, report.md and report.html. The first fuser is the reference of the others. "
        "degraded-folder works on any folder of aligned crops and degrades them; media-folder takes them as they "
        "are, with a film, camera or day for each; ijbb, ijbc, ijbs, tinyface and ytf need your own licensed "
        "copy. All but degraded-folder take embeddings that you have already.",
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
    _add_attribute_options(parser)
    _add_embeddings_options(parser)
    _add_licensed_options(parser)
    _add_folder_options(parser)
    _add_media_options(parser)
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are kept (default: OUTPUT.work); an interrupted run goes on from there",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_trust_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def _add_attribute_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("errors by group or condition")
    group.add_argument(
        "--attributes",
        metavar="FILE.csv",
        help="table with a column person, image (media-folder) or template (ijbb, ijbc, ytf) and columns of "
        "values, as group, camera: error rates are told by value, too",
    )
    group.add_argument(
        "--attribute-columns",
        type=name_list,
        default=(),
        metavar="A,B",
        help="columns of --attributes that are taken (default: all)",
    )


def _add_embeddings_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("embeddings made before (all but degraded-folder)")
    group.add_argument(
        "--embeddings",
        metavar="FILE",
        help=".npy with a row per image in the benchmark's order (ijbb, ijbc: the loose-crop list), or .npz with "
        "embeddings and names (media-folder: PERSON/...); --embedder then states what made them",
    )
    group.add_argument(
        "--flipped",
        action="store_true",
        help="rows of --embeddings hold image and mirror image one after the other; they are added",
    )


def _add_licensed_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("ijbb, ijbc, ijbs, tinyface, ytf")
    group.add_argument(
        "--chunks",
        type=number_list,
        default=(),
        metavar="LIST",
        help="fuse this many images at a time too, as 4,8,32,64,128,256 in the official table",
    )
    group.add_argument("--images", metavar="DIR", help="face crops of ijbs")
    group.add_argument("--detector", metavar="MODEL", help="YuNet or SCRFD, for tinyface and ytf")
    add_stance_option(group)
    group.add_argument(
        "--any-counts",
        action="store_true",
        help="accept copies of other than the published size (that of ijbc is told and not checked)",
    )


def _add_folder_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("degraded-folder, media-folder")
    group.add_argument(
        "--mix",
        choices=("hard", "mixed", "clean"),
        default="hard",
        help="degraded-folder: how many images are bad (default hard)",
    )
    group.add_argument(
        "--folds",
        type=number_list,
        metavar="LIST",
        help="people to test on (default: 3, of which no bundled fuser saw anybody; media-folder: all, 0,1,2,3)",
    )
    group.add_argument(
        "--sizes",
        type=number_list,
        metavar="LIST",
        help="images in a probe set (default 1,2,4,8,16,32,64; media-folder: to 32)",
    )
    group.add_argument(
        "--num-sets",
        type=positive,
        metavar="N",
        help="probe sets per person (default 4; media-folder: replicates of gallery and probes, 16)",
    )
    group.add_argument("--seed", type=int, default=0)
    group.add_argument(
        "--replicates", type=positive, default=1000, metavar="N", help="of the bootstrap"
    )


def _add_media_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("media-folder")
    group.add_argument(
        "--media-from",
        metavar="PATTERN",
        help="regular expression with a group 'medium', searched in the files' names, as "
        "'^(?P<medium>.+?)__'; without it each medium is a folder: PERSON/MEDIUM/IMAGE",
    )
    group.add_argument(
        "--faces",
        metavar="FILE.csv",
        help="table with the columns file and face_px, the width of the face in the original in pixels: a "
        "file, or its name in the data",
    )
    group.add_argument(
        "--face-px",
        action="append",
        default=[],
        metavar="A..B",
        help="size class beside all images, as ..60 or 60.. or 20..60; may be given several times",
    )
    group.add_argument(
        "--ignore-columns",
        type=name_list,
        default=(),
        metavar="A,B",
        help="columns of --faces that are passed over",
    )
    group.add_argument(
        "--relatives",
        metavar="PATTERN",
        help="regular expression with a group 'family', searched in people's names: people of one family are "
        "never each other's non-mates",
    )
    group.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="PERSON",
        help="somebody who is not used; may be given several times",
    )


def run(options: argparse.Namespace) -> int:
    """Evaluates and writes the report; 3 if images of the data were skipped."""
    from probefusion.cli.phases import progress_of_phases
    from probefusion.pipeline.evaluate import FOLDER_PROTOCOL, MEDIA_PROTOCOL, evaluate

    is_folder = options.protocol in (FOLDER_PROTOCOL, MEDIA_PROTOCOL)
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
            detector=detector_of(options),
            check_counts=not options.any_counts,
            mix=options.mix,
            folds=options.folds,
            set_sizes=options.sizes,
            num_sets=options.num_sets,
            seed=options.seed,
            num_replicates=options.replicates,
            media_from=options.media_from,
            faces=options.faces,
            face_px=tuple(options.face_px),
            relatives=options.relatives,
            leave_out=tuple(options.leave_out),
            ignore=options.ignore_columns,
            attributes=options.attributes,
            attribute_columns=options.attribute_columns,
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
        names = [row[0] for row in rows]
        if header[0] == "fuser":
            names = short_names(names)
        lines = [[name, *row[1:]] for name, row in zip(names, rows, strict=True)]
        print_result_table(title, header, lines)
    if result.limits:
        print("not measured, or not to be relied on:")
        for limit in result.limits:
            print(f"  {limit}")
