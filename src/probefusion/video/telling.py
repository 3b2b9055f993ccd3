"""What is said of a video beside its people: that reading was ended, that it is turned, or why nobody was found."""

from __future__ import annotations

import logging

from probefusion.faces.frames import VideoReader
from probefusion.files.reading import in_one_line
from probefusion.video.clip import Clip, Counts

__all__ = ["tell_turned", "told_stop", "why_nobody"]

_log = logging.getLogger("probefusion")


def told_stop(reader: VideoReader, moment: float | None) -> tuple[str, ...]:
    """That reading was ended before the video was over, for the list of problems; () if it was not."""
    if moment is None:
        return ()
    whole = reader.facts.duration
    of = "" if whole is None else f" of {whole:.1f} s"
    return (
        f"reading was ended by hand at {moment:.1f} s{of}: what comes later is not in the results",
    )


def tell_turned(reader: VideoReader, counts: Counts) -> None:
    """Notes in the log that faces of a video were turned, and put upright."""
    if counts.faces_turned:
        _log.warning(
            "%s: %d of %d faces are turned by 90, 180 or 270 degrees; their crops were put upright",
            *(in_one_line(reader.facts.source), counts.faces_turned, counts.faces_found),
        )


def why_nobody(clip: Clip, *, min_size: float, min_images: int) -> str:
    """Why a video has no people: what became of its faces.

    Args:
        clip: The video.
        min_size: Least size of a face that was asked for, in pixels.
        min_images: Least number of images of a person that was asked for.
    """
    counts = clip.counts
    text = f"{in_one_line(clip.facts.source)}: no person found in {counts.frames_used} frames"
    if not counts.faces_found:
        text += ": they show no face that the detector can see"
    else:
        text += (
            f": of {counts.faces_found} faces {counts.faces_too_small} were smaller than "
            f"{min_size:g} pixels, {counts.faces_unusable} unusable, {counts.faces_untracked} "
            f"untracked, {counts.images_in_short_tracks} in {counts.tracks_too_short} tracks of fewer "
            f"than {min_images} images. Lower --min-size or --min-images"
        )
    problems = f" ({'; '.join(clip.problems)})" if clip.problems else ""
    return f"{text}{problems}."
