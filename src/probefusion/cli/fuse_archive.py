"""`probefusion fuse-archive`: an archive of many people in, a file of templates out."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from probefusion.cli.options import add_device_option, add_output_options, positive

__all__ = ["add_parser", "run"]

_BYTES_PER_MB = 1_000_000


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "fuse-archive",
        help="fuse an archive of many people, larger than memory",
        description="Fuses every template of an archive (a Parquet file, a folder of them, or a folder "
        "with embeddings.npy, style.npy and template_ids.npy) in bounded memory. Rows may stand in any "
        "order. An interrupted run goes on from OUTPUT.work when given again. Look at one of the "
        "templates with: probefusion compare OUTPUT#ID OTHER; read them in Python with TemplateSet.load.",
    )
    parser.add_argument("archive", metavar="ARCHIVE")
    parser.add_argument("-o", "--output", required=True, metavar="TEMPLATES.parquet|.npz")
    parser.add_argument(
        "--by", default="template_id", metavar="COLUMN", help="which rows belong together"
    )
    parser.add_argument(
        "--fuser", required=True, metavar="NAME|DIR", help="mean, norm-weighted, exact or a folder"
    )
    parser.add_argument(
        "--embedder",
        metavar="NAME|FILE",
        help="what made the embeddings, where the archive does not say it: a known name, an ONNX file or a "
        "fingerprint",
    )
    parser.add_argument(
        "--memory",
        type=positive,
        default=150,
        metavar="MB",
        help="for templates that have begun and not ended (default 150)",
    )
    add_device_option(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and writes."""
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.fuse_archive import fuse_archive

    with progress_bar("fusing", unit="images") as progress:
        report = fuse_archive(
            options.archive,
            options.output,
            fuser=options.fuser,
            by=options.by,
            embedder=options.embedder,
            memory=options.memory * _BYTES_PER_MB,
            device=options.device,
            num_threads=options.threads,
            progress=progress,
            force=options.force,
        )
    if options.json:
        print(json.dumps({"output": options.output, **asdict(report)}, indent=2))
    else:
        print(
            f"{options.output}: {report.num_images} images fused into {report.num_templates} "
            f"templates by {report.fuser}"
        )
    return 0
