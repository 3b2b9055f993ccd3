"""All inputs of a command fused as those of one person, with progress, and stopped in good order."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from probefusion.cli.pipeline_options import extract_of, pipeline_of, video_settings

if TYPE_CHECKING:
    from probefusion.cli.interrupt import Interruption
    from probefusion.pipeline import Fused

__all__ = ["fuse_inputs"]

_TITLES = {"images": "embedding", "frames": "reading"}


def fuse_inputs(options: argparse.Namespace, *, ending: str) -> Fused:
    """What the command's `paths` hold, as one person.

    Args:
        options: The command's: paths, images, videos, and what to do about strangers.
        ending: What is told to happen when a video is interrupted.
    """
    from probefusion.cli.interrupt import interruption
    from probefusion.cli.phases import progress_by_unit
    from probefusion.faces.frames import is_video

    has_videos = any(is_video(path) for path in options.paths)
    stopping: AbstractContextManager[Interruption | None] = nullcontext()
    if has_videos:
        stopping = interruption(ending, is_patient=False)
    with stopping as stop, progress_by_unit(_TITLES) as show:

        def progress(unit: str, done: int, total: int | None) -> None:
            if stop is not None:
                stop.is_patient = unit == "frames"  # before that there is nothing to be finished
            show(unit, done, total)

        return pipeline_of(options).fuse(
            options.paths,
            one_person=options.one_person,
            settings=video_settings(options) if has_videos else None,
            extract=extract_of(options) if has_videos else None,
            progress=progress,
            should_stop=stop,
            strangers=options.strangers,
        )
