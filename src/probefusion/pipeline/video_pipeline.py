"""The part of a pipeline that takes videos: read to the end, or watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.pipeline.screened_stills import screened_stills
from probefusion.pipeline.video_gallery import GallerySource
from probefusion.pipeline.videos import Extract, VideoSource, read_video, watch_source

if TYPE_CHECKING:
    from probefusion.gallery.stills import Stills
    from probefusion.pipeline.chosen_models import Models
    from probefusion.pipeline.strangers import Strangers
    from probefusion.video import Clip, VideoEvent, VideoSettings

__all__ = ["VideoPipeline"]


class VideoPipeline:
    """What `probefusion.pipeline.Pipeline` does with videos; it is made as part of that."""

    _models: Models

    def read_video(
        self,
        source: VideoSource,
        *,
        gallery: GallerySource = None,
        settings: VideoSettings | None = None,
        extract: Extract | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Clip:
        """Reads a video to its end: every person in it, with a state, a template and all weights.

        Args:
            source: A file, `webcam:0`, the address of a stream, or an opened video.
            gallery: As for `watch`; each person of the clip has what was found as `match`, and each event of
                `on_event`.
            settings: How it is turned into people; None takes the defaults.
            extract: Which frames are searched; None takes all. Not for an opened video.
            progress: Called with the frames read, and in all where that is known.
            should_stop: Asked after each frame; when it says so, what was read is finished and given.
            options: Further arguments of `probefusion.video.process_video`, as `on_event`.

        Returns:
            The clip; close it when done.

        Raises:
            ConfigError, EmptySetError: If no detector was named, or no person was found.
            EmbedderMismatchError, FuserMismatchError: If the gallery is of another embedder or fuser; no frame is
                read then.
            ProbeFusionError: If video or gallery cannot be read, or embedder and fuser do not fit.
        """
        return read_video(
            self._models,
            source,
            gallery=gallery,
            settings=settings,
            extract=extract,
            progress=progress,
            should_stop=should_stop,
            options=options,
        )

    def read_gallery(
        self, paths: str | Path | Sequence[str | Path], *, strangers: Strangers = "tell"
    ) -> Stills:
        """Reads people to be found in videos: images, folders and templates.

        Args:
            paths: As for `probefusion.gallery.read_stills`.
            strangers: What to do where images of a person seem to be of somebody else, see `Strangers`. It is told
                among the stills' `warnings`.

        Raises:
            SeveralPeopleError, NotUsableError: If that is to be refused.
            ConfigError, ProbeFusionError: If no detector was named, two people have one name, or nobody can be read.
        """
        return screened_stills(self._models, paths, strangers)

    def watch(
        self,
        source: VideoSource,
        *,
        gallery: GallerySource = None,
        settings: VideoSettings | None = None,
        extract: Extract | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[VideoEvent]:
        """Follows a video or stream and tells while it runs who appears, who is known better, who left.

        Args:
            source: A file, `webcam:0`, the address of a stream, or an opened video.
            gallery: Whom to look for: a `probefusion.Gallery`, which is left open, or its address (a path ending in
                .db, or `postgresql://...`), opened while the video runs; or stills: images, folders and templates
                as for `probefusion.gallery.stills.read_stills`, or what that gave. None searches nobody. In a
                gallery each search sees everybody who was enrolled before it, and decides by the threshold for the
                two templates at `false_match_rate` (0.001), or at `false_positive_rate` (of searches). If this
                pipeline's fuser is "auto", the gallery's is taken.
            settings: As for `read_video`.
            extract: As for `read_video`.
            should_stop: As for `read_video`.
            options: Further arguments of `probefusion.video.watch_video`.

        Returns:
            The events; the video is closed when they end, or when the iterator is closed.

        Raises:
            EmbedderMismatchError, FuserMismatchError: If the gallery is of another embedder or fuser; no frame is
                read then.
            MissingFileError: If there is no gallery at the address.
            ProbeFusionError: As for `read_video`; also if the gallery cannot be read, at once or while it runs.
        """
        return watch_source(
            self._models,
            source,
            gallery=gallery,
            settings=settings,
            extract=extract,
            should_stop=should_stop,
            options=options,
        )
