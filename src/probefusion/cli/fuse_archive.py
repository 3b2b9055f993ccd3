"""`probefusion fuse-archive`: an archive of many people in, a file of templates out."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.options import add_output_options, positive

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
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and writes."""
    from probefusion.archives import fuse_archive, open_archive
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.chosen_embedder import stated_fingerprint
    from probefusion.zoo import load_fuser

    archive = open_archive(
        options.archive, by=options.by, embedder=stated_fingerprint(options.embedder)
    )
    fuser = load_fuser(options.fuser, num_threads=options.threads, embedder=archive.embedder)
    with progress_bar("fusing", unit="images") as progress:
        report = fuse_archive(
            archive,
            fuser,
            options.output,
            memory=options.memory * _BYTES_PER_MB,
            progress=progress,
            force=options.force,
        )
    if options.json:
        facts = {
            "output": options.output,
            "num_images": report.num_images,
            "num_templates": report.num_templates,
            "num_passes": report.num_passes,
            "resumed_at": report.resumed_at,
            "fuser": fuser.fingerprint,
        }
        print(json.dumps(facts, indent=2))
    else:
        print(
            f"{options.output}: {report.num_images} images fused into {report.num_templates} "
            f"templates by {fuser.fingerprint}"
        )
    return 0
