"""Whether a video file ends earlier than it promises: recorders die, downloads break off."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["cut_off"]

_SECONDS = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")

_FRAMES, _PART = 3, 0.01
"""A file is cut off if more than so many frames, and this part of it, are missing."""
_SECONDS_OF_SOUND, _PART_OF_SOUND = 2.0, 0.05
"""The same where what is promised may be a sound track that goes on for longer."""


def cut_off(
    stream: Any,
    duration: float | None,
    *,
    is_alone: bool,
    num_read: int | None,
    end: float,
    step: float,
) -> str | None:
    """Says that a video file, read to its end, is cut off.

    Where a file promises a number of frames too, both frames and seconds must be missing: the last frame
    may be shown for long, and a trimmed file may hold frames that are not shown.

    Args:
        stream: The video stream of PyAV.
        duration: Seconds that the file promises, or None.
        is_alone: Whether the file has no other stream.
        num_read: Frames decoded, or None if reading did not begin with the first.
        end: Second at which the last frame ends.
        step: Seconds from frame to frame, on average: as stated or as seen, what is more.

    Returns:
        What is missing, in words, or None if nothing is.
    """
    promised, is_exact = _promised_seconds(stream, duration, is_alone)
    if promised is None:
        return None
    slack = (
        max(_FRAMES * step, _PART * promised)
        if is_exact
        else max(_SECONDS_OF_SOUND, _PART_OF_SOUND * promised)
    )
    if end >= promised - slack:
        return None
    until = f"the file ends at {end:.2f} of {promised:.2f} s"
    if num_read is None:
        return f"cut off: {until}"
    if not stream.frames:
        return (
            f"cut off: {until}, {num_read} of about {round(promised / step)} frames could be read"
        )
    if stream.frames - num_read <= max(_FRAMES, _PART * stream.frames):
        return None
    return f"cut off: {until}, {num_read} of {stream.frames} promised frames could be read"


def _promised_seconds(
    stream: Any, duration: float | None, is_alone: bool
) -> tuple[float | None, bool]:
    """Seconds that the file promises, and whether they are those of the pictures."""
    if stream.duration is not None:
        return duration, True
    stated = _SECONDS.match(stream.metadata.get("DURATION", ""))  # Matroska
    if stated is not None:
        hours, minutes, seconds = stated.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds), True
    return duration, is_alone
