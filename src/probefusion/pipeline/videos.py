"""Videos for a pipeline: read to the end, or watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from probefusion.errors import ConfigError
from probefusion.pipeline.video_gallery import GallerySource, known_people

if TYPE_CHECKING:
    from probefusion.faces.frames import VideoReader
    from probefusion.fusion import Fuser
    from probefusion.pipeline.chosen_models import Models
    from probefusion.video import Clip, VideoEvent, VideoSettings

__all__ = ["Extract", "VideoSource", "read_video", "watch_source"]

VideoSource: TypeAlias = "str | Path | VideoReader"
"""A file, `webcam:0`, the address of a stream, or an opened video."""


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Which frames of a video are searched.

    Args:
        every: Every k-th one.
        start: Second at which to begin.
        stop: Second at which to end, or None for the end of the video.
    """

    every: int = 1
    start: float = 0.0
    stop: float | None = None


def read_video(
    models: Models,
    source: VideoSource,
    *,
    fuser: Fuser | None = None,
    gallery: GallerySource = None,
    settings: VideoSettings | None,
    extract: Extract | None,
    progress: Callable[[int, int | None], None] | None,
    should_stop: Callable[[], bool] | None,
    options: dict[str, Any] | None = None,
) -> Clip:
    """Does what `Pipeline.read_video` promises, with these models and this fuser, or one that fits."""
    from probefusion.video import process_video

    detector = models.detector
    with (
        _opened(source, extract, models.num_threads) as reader,
        known_people(models, gallery, fuser) as (known, chosen),
    ):
        return process_video(
            reader,
            detector,
            models.embedder,
            chosen,
            settings or _default_settings(models),
            stills=known,
            quality=models.judge(kept=False, made_by=None if fuser is None else fuser.fingerprint),
            calibration=models.calibration_file,
            progress=progress,
            should_stop=should_stop,
            **(options or {}),
        )


def watch_source(
    models: Models,
    source: VideoSource,
    *,
    gallery: GallerySource,
    settings: VideoSettings | None,
    extract: Extract | None,
    should_stop: Callable[[], bool] | None,
    options: dict[str, Any],
) -> Iterator[VideoEvent]:
    """Does what `Pipeline.watch` promises, with these models."""
    from probefusion.video import watch_video

    detector = models.detector
    with ExitStack() as opening:
        reader = opening.enter_context(_opened(source, extract, models.num_threads))
        known, fuser = opening.enter_context(known_people(models, gallery))
        events = watch_video(
            reader,
            detector,
            models.embedder,
            fuser,
            settings or _default_settings(models),
            stills=known,
            quality=models.judge(kept=False),
            calibration=models.calibration_file,
            should_stop=should_stop,
            **options,
        )
        watched = _until_closed(events, opening.pop_all())
    next(watched)
    return watched  # type: ignore[return-value]  # None was the first alone


def _until_closed(events: Iterator[VideoEvent], opened: ExitStack) -> Iterator[VideoEvent | None]:
    """None, so that it can be begun and then closes what is opened whenever it ends, and the events."""
    with opened:
        yield None
        yield from events


def _default_settings(models: Models) -> VideoSettings:
    from probefusion.video import VideoSettings

    return VideoSettings(chunk_size=models.chunk_size or VideoSettings.chunk_size)


@contextmanager
def _opened(
    source: VideoSource, extract: Extract | None, num_threads: int | None
) -> Iterator[VideoReader]:
    """The opened video; one that was given opened is left open.

    Raises:
        ProbeFusionError: As for `VideoReader`.
    """
    from probefusion.faces.frames import VideoReader

    if isinstance(source, VideoReader):
        if extract is not None:
            raise ConfigError(
                "extract: expected None for an opened video, which was opened with its own."
            )
        yield source
        return
    extract = extract or Extract()
    with VideoReader(
        source,
        every=extract.every,
        start=extract.start,
        stop=extract.stop,
        num_threads=num_threads,
    ) as reader:
        yield reader
