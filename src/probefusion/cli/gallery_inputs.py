"""Images that commands on galleries take: whatever `fuse` takes, read and screened by the pipeline."""

from __future__ import annotations

import argparse
import hashlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.clips import add_video_options
from probefusion.cli.options import add_embedding_options, add_fuser_option
from probefusion.cli.pipeline_options import (
    extract_of,
    pipeline_of,
    report_skipped,
    report_usability,
    skipped_facts,
    usability_facts,
    video_settings,
)
from probefusion.cli.strangers import add_strangers_options, report_problems, screening_facts

if TYPE_CHECKING:
    from probefusion.cli.interrupt import Interruption
    from probefusion.gallery import Gallery
    from probefusion.pipeline import Fused, Pipeline

__all__ = [
    "add_image_options",
    "contribution_from",
    "exit_code",
    "fingerprint_of",
    "fuse_inputs",
    "fused_facts",
    "warn",
]

_TITLES = {"images": "embedding", "frames": "reading"}
_BLOCK = 1 << 20
_MARK = "sha256:"


def add_image_options(parser: argparse.ArgumentParser, *, nargs: str = "+") -> None:
    """INPUT ... and all that says how images are read; `nargs` as for argparse."""
    parser.add_argument(
        "paths",
        nargs=nargs,
        metavar="INPUT",
        help="of one person: images, folders, .zip archives, embeddings (.npz, .npy, .csv, .parquet), "
        ".safetensors states, videos, streams",
    )
    parser.add_argument(
        "--one-person",
        action="store_true",
        help="all folders inside a folder are of one person",
    )
    add_strangers_options(parser)
    add_fuser_option(parser)
    add_embedding_options(parser, labels=True)
    add_video_options(parser)


def fuse_inputs(options: argparse.Namespace, pipeline: Pipeline | None = None) -> Fused:
    """What the inputs of a command are of one person.

    Args:
        options: The command's.
        pipeline: To read with; None makes that of the options.

    Raises:
        ProbeFusionError: As for `Pipeline.fuse`.
    """
    from probefusion.cli.interrupt import interruption
    from probefusion.cli.phases import progress_by_unit
    from probefusion.faces.frames import is_video

    has_videos = any(is_video(path) for path in options.paths)
    stopping: AbstractContextManager[Interruption | None] = nullcontext()
    if has_videos:
        stopping = interruption("what was read is used", is_patient=False)
    with stopping as stop, progress_by_unit(_TITLES) as show:

        def progress(unit: str, done: int, total: int | None) -> None:
            if stop is not None:
                stop.is_patient = unit == "frames"
            show(unit, done, total)

        return (pipeline or pipeline_of(options)).fuse(
            options.paths,
            one_person=options.one_person,
            settings=video_settings(options) if has_videos else None,
            extract=extract_of(options) if has_videos else None,
            progress=progress,
            should_stop=stop,
            strangers=options.strangers,
        )


def fingerprint_of(paths: list[str]) -> str:
    """`sha256:` and 16 hexadecimal digits of all bytes of the inputs; "" where one is no file, as a stream."""
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(each for each in path.rglob("*") if each.is_file())
        elif path.is_file():
            files.append(path)
        else:
            return ""
    digests = []
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        digests.append(digest.hexdigest())
    return _MARK + hashlib.sha256(" ".join(sorted(digests)).encode()).hexdigest()[:16]


def contribution_from(gallery: Gallery, name: str, fingerprint: str) -> str | None:
    """Id of a person's contribution, or of one held for the person, from the very same files; None if there is none.

    Args:
        gallery: Where to look.
        name: Name of the person, who need not be there.
        fingerprint: Of the files, see `fingerprint_of`.
    """
    if not fingerprint or name not in gallery:
        return None
    views = [*gallery.person(name).contributions]
    views += [view for person, view in gallery.held() if person == name]
    return next((view.id for view in views if view.source.endswith(fingerprint)), None)


def fused_facts(fused: Fused) -> dict[str, Any]:
    """What was read, for `--json`."""
    return {
        "skipped": skipped_facts(fused.skipped),
        "problems": list(fused.problems),
        **screening_facts(fused.screening, fused.face_choice),
        "usability": usability_facts(fused.usability),
    }


def warn(fused: Fused) -> None:
    """Tells on standard error what was left out, and what is not usable."""
    report_problems(fused.problems)
    report_skipped(fused.skipped)
    report_usability(fused.usability)


def exit_code(fused: Fused) -> int:
    """0; 3 if something was left out or is not usable; 130 if a video was interrupted."""
    if fused.was_stopped:
        return 130
    is_poor = fused.usability is not None and fused.usability.is_not_usable
    return 3 if fused.skipped or fused.problems or is_poor else 0
