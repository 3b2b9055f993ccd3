"""`probefusion fuse-archive`: an archive of many people in, a file of templates out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.effects import check_archive_effects
from probefusion.cli.embed_archive import (
    add_source_options,
    embedding_facts,
    tell_embedded,
)
from probefusion.cli.engine_options import add_engine_options, engine_of
from probefusion.cli.options import (
    add_device_option,
    add_output_options,
    add_preprocessing_option,
    add_stance_option,
    add_trust_option,
    detector_of,
    positive,
)
from probefusion.cli.strangers import NO_SCREENING, add_screening_option, report_problems
from probefusion.errors import in_one_line

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
        "with embeddings.npy, style.npy and template_ids.npy; a path or a url as s3://) in bounded memory, on "
        "all cores, a Ray cluster or a Dask cluster. With --aligned or --detector ARCHIVE holds images, as for "
        "embed-archive. Rows may stand in any order. An interrupted run goes on from OUTPUT.work when given again. "
        "Look at one of the templates with: probefusion compare OUTPUT#ID OTHER; read them in Python with "
        "TemplateSet.load.",
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
        help="for the states of templates, in each worker (default 150)",
    )
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--keep-states",
        metavar="FOLDER",
        help="keep the states, so that more files can be added later",
    )
    kept.add_argument(
        "--add-to",
        metavar="FOLDER",
        help="add the archive's files to states that were kept; those that were fused before are passed over",
    )
    add_screening_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="older name of --workers, with --engine local"
    )
    add_engine_options(parser, gpus=True)
    _add_image_options(parser.add_argument_group("archives of images, which are embedded first"))
    add_output_options(parser)
    parser.set_defaults(run=run)


def _add_image_options(parser: Any) -> None:
    """What makes an archive one of images."""
    parser.add_argument(
        "--aligned", action="store_true", help="the images of ARCHIVE are aligned 112x112 crops"
    )
    parser.add_argument(
        "--detector", metavar="MODEL", help="face detector for the photos of ARCHIVE, as for embed"
    )
    add_stance_option(parser)
    parser.add_argument(
        "--rows",
        metavar="FOLDER|URL",
        help="keep the embeddings of the images here (default: OUTPUT.rows, which goes when all is done)",
    )
    add_source_options(parser)
    add_preprocessing_option(parser)
    add_trust_option(parser)


def run(options: argparse.Namespace) -> int:
    """Fuses and writes; 3 if templates seem to be of several people, or files could not be read."""
    _take_threads_as_workers(options)
    if options.aligned or options.detector is not None:
        return _run_images(options)
    check_archive_effects(options)
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.fuse_archive import fuse_archive

    with ExitStack() as stack:
        given = (options.workers, options.ray_address, options.dask_address)
        chosen = options.engine != "local" or any((*given, options.gpus_per_worker))
        engine = stack.enter_context(engine_of(options)) if chosen else None
        progress = stack.enter_context(progress_bar("fusing", unit="images"))
        report = fuse_archive(
            options.archive,
            options.output,
            fuser=options.fuser,
            by=options.by,
            embedder=options.embedder,
            memory=options.memory * _BYTES_PER_MB,
            device=options.device,
            progress=progress,
            force=options.force,
            screening=options.screening,
            engine=engine,
            keep_states=options.keep_states,
            add_to=options.add_to,
        )
    return _told(options, report, {})


def _take_threads_as_workers(options: argparse.Namespace) -> None:
    """Takes the older name of --workers for it.

    Raises:
        ConfigError: If another engine was chosen, or both names were given.
    """
    from probefusion.errors import ConfigError

    if options.threads is None:
        return
    if options.engine != "local":
        raise ConfigError(
            f"--threads: expected with --engine local only, got {options.threads} with {options.engine}. Say --workers."
        )
    if options.workers is not None:
        raise ConfigError(
            f"--threads: expected without --workers, whose older name it is, got {options.threads} and "
            f"{options.workers}. Leave it out."
        )
    options.workers = options.threads


def _run_images(options: argparse.Namespace) -> int:
    """The same for an archive of images, which are embedded first."""
    from probefusion.cli.progress import progress_bar
    from probefusion.pipeline.fuse_images import fuse_images

    embedding = (
        "aligned",
        "trust_alignment",
        "preprocessing",
        "norm_output",
        "person",
        "image_column",
        "every",
    )
    with ExitStack() as stack:
        engine = stack.enter_context(engine_of(options))
        done = fuse_images(
            options.archive,
            options.output,
            engine=engine,
            fuser=options.fuser,
            embedder=options.embedder,
            rows=options.rows,
            device=options.device,
            force=options.force,
            embedding={
                "detector": detector_of(options),
                **{name: getattr(options, name) for name in embedding},
            },
            embedding_progress=stack.enter_context(progress_bar("embedding", unit="images")),
            by=options.by,
            memory=options.memory * _BYTES_PER_MB,
            progress=stack.enter_context(progress_bar("fusing", unit="images")),
            screening=options.screening,
            keep_states=options.keep_states,
            add_to=options.add_to,
        )
    tell_embedded(done.embedded, str(done.rows or options.output), is_json=options.json)
    facts = {"rows": done.rows, "embedded": embedding_facts(done.embedded)}
    return max(_told(options, done.fused, facts), 3 if done.embedded.num_skipped else 0)


def _told(options: argparse.Namespace, report: ArchiveReport, more: dict[str, Any]) -> int:
    """Tells what was fused; gives the exit code."""
    if options.json:
        print(json.dumps({"output": options.output, **asdict(report), **more}, indent=2))
    else:
        print(
            f"{options.output}: {report.num_images} images fused into {report.num_templates} "
            f"templates by {report.fuser}"
        )
        if report.num_passed_over:
            counted = _counted(report.num_passed_over)
            print(f"passed over: {counted}, in {options.add_to} already")
        _tell(report, is_wanted=options.screening)
    problems = [*_failed(report, was_added=options.add_to is not None), *_mixed(report)]
    problems += _poor(report)
    if problems:
        report_problems(problems)
    return 3 if problems else 0


def _mixed(report: ArchiveReport) -> Iterator[str]:
    mixed = report.several_people
    if mixed:
        listed = ", ".join(
            f"{in_one_line(str(name))} ({100 * share:.0f} % of the weight)"
            for name, share in mixed[:_LISTED]
        )
        more = f" and {len(mixed) - _LISTED} more (all in --json)" if len(mixed) > _LISTED else ""
        counted = "1 template falls" if len(mixed) == 1 else f"{len(mixed)} templates fall"
        yield f"{counted} apart, as if of several people; the lighter part of each: {listed}{more}"


def _poor(report: ArchiveReport) -> Iterator[str]:
    poor = report.not_usable
    if poor:
        listed = ", ".join(in_one_line(str(name)) for name in poor[:_LISTED])
        more = f" and {len(poor) - _LISTED} more (all in --json)" if len(poor) > _LISTED else ""
        counted = "1 template is" if len(poor) == 1 else f"{len(poor)} templates are"
        yield f"{counted} not usable, of too few or too poor images (look at them): {listed}{more}"


def _failed(report: ArchiveReport, *, was_added: bool) -> Iterator[str]:
    failed = report.failed_files
    step = "To try again, give the command again with --force; the rest is not done again"
    if was_added:
        step = "Mend what could not be read, and give it alone with --add-to"
    if failed:
        listed = "; ".join(
            f"{in_one_line(name)} ({in_one_line(reason)})" for name, reason in failed[:_LISTED]
        )
        more = f" and {len(failed) - _LISTED} more (all in --json)" if len(failed) > _LISTED else ""
        counted = _counted(len(failed))
        yield (f"{counted} could not be read and left out: {listed}{more}. {step}")


def _counted(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _tell(report: ArchiveReport, *, is_wanted: bool) -> None:
    if not is_wanted:
        print(f"not screened: not wanted ({NO_SCREENING})")
        return
    told = f"screened: {report.num_screened} of {report.num_templates} templates"
    if report.num_not_screened:
        told += f"; {report.num_not_screened} were not looked at"
    print(told)
