"""`probefusion fuse-archive`: an archive of many people in, a file of templates out."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_device_option, add_output_options, positive
from probefusion.cli.strangers import NO_SCREENING, add_screening_option, report_problems

if TYPE_CHECKING:
    from probefusion.archives import ArchiveReport

__all__ = ["add_parser", "run"]

_BYTES_PER_MB = 1_000_000
_LISTED = 20


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
    add_screening_option(parser)
    add_device_option(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and writes; 3 if templates seem to be of several people."""
    from probefusion.cli.progress import progress_bar
    from probefusion.files.reading import in_one_line
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
            screening=options.screening,
        )
    if options.json:
        print(json.dumps({"output": options.output, **asdict(report)}, indent=2))
    else:
        print(
            f"{options.output}: {report.num_images} images fused into {report.num_templates} "
            f"templates by {report.fuser}"
        )
        _tell(report, is_wanted=options.screening)
    mixed = report.several_people
    if mixed:
        listed = ", ".join(
            f"{in_one_line(str(name))} ({100 * share:.0f} % of the weight)"
            for name, share in mixed[:_LISTED]
        )
        more = f" and {len(mixed) - _LISTED} more (all in --json)" if len(mixed) > _LISTED else ""
        counted = "1 template falls" if len(mixed) == 1 else f"{len(mixed)} templates fall"
        report_problems(
            [f"{counted} apart, as if of several people; the lighter part of each: {listed}{more}"]
        )
    return 3 if mixed else 0


def _tell(report: ArchiveReport, *, is_wanted: bool) -> None:
    if not is_wanted:
        print(f"not screened: not wanted ({NO_SCREENING})")
        return
    told = f"screened: {report.num_screened} of {report.num_templates} templates"
    if report.num_not_screened:
        told += f"; {report.num_not_screened} were not looked at, for want of memory or after an interruption"
    print(told)
