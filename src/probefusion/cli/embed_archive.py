"""`probefusion embed-archive`: the images of many people in, Parquet files with a row for each image out."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.engine_options import add_engine_options, engine_of
from probefusion.cli.options import (
    add_embedding_options,
    add_output_options,
    add_trust_option,
    detector_of,
    positive,
)

if TYPE_CHECKING:
    from probefusion.pipeline.embed_archive import EmbeddedArchive

__all__ = [
    "add_parser",
    "add_source_options",
    "embedding_facts",
    "run",
    "tell_embedded",
]

_LISTED = 20
_DOUBTS = {
    "turned": "turned, and put upright",
    "several faces": "of several faces of about one size, of which the largest was taken",
    "unsure": "of a face that the detector is not sure of",
    "tiny": "of a tiny face",
    "cut off": "of a face that reaches beyond the photo",
}


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "embed-archive",
        help="turn the images of many people into Parquet files, on all cores or a cluster",
        description="Embeds the images of an archive into Parquet files with a row for each image, which fuse-archive "
        "takes. SOURCE is a folder with a folder of images or clips for each person, or with tar shards as WebDataset "
        "writes them, or Parquet files with images; one .zip, .tar or .parquet file; or the url of any of these "
        "(s3://, gs://, hf://). A run that was stopped goes on when it is given again.",
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER|URL")
    group = parser.add_argument_group("source")
    add_source_options(group)
    group.add_argument(
        "--chunk",
        type=positive,
        default=1000,
        metavar="N",
        help="images of a task and of a file (default 1000)",
    )
    add_embedding_options(parser)
    add_trust_option(parser)
    parser.add_argument(
        "--quality",
        action="store_true",
        help="judge each crop for the universal fuser (as slow as a small embedder)",
    )
    parser.add_argument(
        "--float32",
        action="store_true",
        help="write single precision, for readers that do not know half precision",
    )
    add_engine_options(parser, gpus=True)
    add_output_options(parser)
    parser.set_defaults(run=run)


def add_source_options(parser: Any) -> None:
    """How the images of an archive, and the people in it, are found."""
    parser.add_argument(
        "--person",
        default="folder",
        metavar="RULE",
        help="where the person of an image is named: folder (default: the outermost one, or the part of a shard's key "
        "before the first /), parent (the folder that it lies in), cls, txt or json:FIELD (the file of the same key "
        "with this ending), or column:NAME (of Parquet files)",
    )
    parser.add_argument(
        "--image-column",
        metavar="NAME",
        help="column of Parquet files with the bytes of images (default image)",
    )
    parser.add_argument(
        "--every",
        type=positive,
        metavar="K",
        help="of clips take every K-th frame (default 10)",
    )


def run(options: argparse.Namespace) -> int:
    """Embeds and writes; 3 if images were skipped."""
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.embed_archive import embed_archive

    with engine_of(options) as engine, progress_bar("embedding", unit="images") as progress:
        report = embed_archive(
            options.source,
            options.output,
            engine=engine,
            embedder=options.embedder,
            detector=detector_of(options),
            aligned=options.aligned,
            trust_alignment=options.trust_alignment,
            preprocessing=options.preprocessing,
            norm_output=options.norm_output,
            device=options.device,
            quality=options.quality,
            person=options.person,
            image_column=options.image_column,
            every=options.every,
            chunk_size=options.chunk,
            dtype="float32" if options.float32 else "float16",
            force=options.force,
            progress=progress,
        )
    if options.json:
        print(json.dumps({"output": str(options.output), **embedding_facts(report)}, indent=2))
    tell_embedded(report, str(options.output), is_json=options.json)
    return 3 if report.num_skipped else 0


def embedding_facts(report: EmbeddedArchive) -> dict[str, Any]:
    """What became of the images, for JSON."""
    return asdict(report)


def tell_embedded(report: EmbeddedArchive, output: str, *, is_json: bool) -> None:
    """Tells what became of the images: what was skipped on standard error.

    Args:
        report: What became of them.
        output: Where the rows are.
        is_json: Whether standard output is for JSON alone.
    """
    if not is_json:
        before = f", {report.num_chunks_before} of them before" if report.num_chunks_before else ""
        print(
            f"{output}: {report.num_rows} images embedded by {report.embedder} in {report.num_chunks} files{before}"
        )
        _tell_doubts(report)
    _tell_skipped(report)


def _tell_doubts(report: EmbeddedArchive) -> None:
    from probefusion.files.reading import in_one_line

    for kind, count in report.doubtful.items():
        names = ", ".join(map(in_one_line, report.examples.get(kind, ())))
        print(f"{count} of {report.num_rows} images {_DOUBTS.get(kind, kind)}: {names}, ...")


def _tell_skipped(report: EmbeddedArchive) -> None:
    if not report.num_skipped:
        return
    print(f"skipped {report.num_skipped} images or files:", file=sys.stderr)
    for image in report.skipped[:_LISTED]:
        print(f"  {image}", file=sys.stderr)
    if report.num_skipped > _LISTED:
        print(
            f"  and {report.num_skipped - _LISTED} more (the first {len(report.skipped)} in --json, all in the files: "
            f"probefusion.archives.images.skipped_images)",
            file=sys.stderr,
        )
