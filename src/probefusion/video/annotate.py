"""The video with a box and a label around every tracked face."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.extras import import_cv2, import_extra
from probefusion.faces.frames import VideoReader
from probefusion.files import check_output
from probefusion.video.clip import Clip
from probefusion.video.explanation import Explanation

__all__ = ["annotate_video"]

_COLOURS = (
    (214, 39, 40),
    (31, 119, 180),
    (44, 160, 44),
    (255, 127, 14),
    (148, 103, 189),
    (23, 190, 207),
)
_TIME_BASE = Fraction(1, 90_000)
_SMALLEST = 480
"""Smaller videos are enlarged by a whole number until they are this wide, or labels could not be read."""


def annotate_video(
    clip: Clip,
    explanations: Sequence[Explanation],
    reader: VideoReader,
    path: str | Path,
    *,
    force: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Reads the video a second time and writes it with boxes, labels and weights, frame by frame.

    Frames keep their times. Sound is left out.

    Args:
        clip: The video.
        explanations: Of each of its people.
        reader: The same video opened again, with the same start and stop and `every=1`.
        path: The `.mp4` file.
        force: Whether an existing file may be replaced.
        progress: Called with the number of frames written, and in all where that is known.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        FileFormatError: If FFmpeg cannot write the file.
        MissingExtraError: If PyAV or OpenCV is not installed.
    """
    path = check_output(path, force=force)
    av = import_extra("av", extra="video", purpose="writing video")
    temporary = path.with_name(f".{path.name}.part.mp4")
    try:
        with av.open(str(temporary), "w", options={"movflags": "+faststart"}) as output:
            _write(clip, explanations, reader, output, progress)
        temporary.replace(path)
    except av.FFmpegError as error:
        raise FileFormatError(
            f"{path.name}: FFmpeg could not write the video ({error})."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(
    clip: Clip,
    explanations: Sequence[Explanation],
    reader: VideoReader,
    output: Any,
    progress: Callable[[int, int | None], None] | None,
) -> None:
    av = import_extra("av", extra="video", purpose="writing video")
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    stream: Any = None
    marks = _Marks(explanations)
    last = -1
    for frame in reader:
        if frame.time > clip.last_time + reader.step:
            break  # the first pass was stopped here
        image = np.ascontiguousarray(frame.image)
        factor = max(1, -(-_SMALLEST // image.shape[1])) if image.shape[1] < _SMALLEST else 1
        if factor > 1:
            image = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
        for box, label, number in marks.at(frame.index):
            _draw(image, box * factor, label, _COLOURS[number % len(_COLOURS)])
        height, width = (side // 2 * 2 for side in image.shape[:2])
        if stream is None:
            rate = Fraction(clip.facts.frame_rate or 25.0).limit_denominator(100_000)
            stream = output.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = max(width, 2), max(height, 2), "yuv420p"
            stream.codec_context.time_base = _TIME_BASE
        picture = av.VideoFrame.from_ndarray(image[: max(height, 1), : max(width, 1)])
        picture = picture.reformat(width=stream.width, height=stream.height)
        picture.pts = last = max(last + 1, round(frame.time / _TIME_BASE))
        picture.time_base = _TIME_BASE
        output.mux(stream.encode(picture))
        if progress is not None:
            progress(reader.num_read, reader.facts.num_frames)
    if stream is not None:
        output.mux(stream.encode(None))


class _Marks:
    """Boxes and labels by frame, read from the temporary file as the video goes on."""

    def __init__(self, explanations: Sequence[Explanation]) -> None:
        self._rows = heapq.merge(*(_rows(item) for item in explanations), key=lambda row: row[0])
        self._next = next(self._rows, None)

    def at(self, frame: int) -> Iterator[tuple[npt.NDArray[np.float32], str, int]]:
        """Box, label and track number of the faces of a frame; frames must be asked for in order."""
        while self._next is not None and self._next[0] <= frame:
            index, box, label, number = self._next
            if index == frame:
                yield box, label, number
            self._next = next(self._rows, None)


def _rows(item: Explanation) -> Iterator[tuple[int, npt.NDArray[np.float32], str, int]]:
    name = item.match.name if item.match is not None else None
    who = name or f"track {item.person.number}"
    count = item.person.num_images
    for rows, weights in item.person.blocks():
        for row, weight in zip(rows, weights, strict=True):
            label = f"{who} {weight * count:.1f}x"
            yield int(row["frame"]), row["box"], label, item.person.number


def _draw(
    image: npt.NDArray[np.uint8], box: npt.NDArray[np.float32], label: str, tint: tuple[int, ...]
) -> None:
    cv2 = import_cv2("drawing boxes")
    x, y, width, height = (round(float(value)) for value in box)
    cv2.rectangle(image, (x, y), (x + width, y + height), tint, 2)
    text = label.encode("ascii", "replace").decode()
    place = (max(x, 2), max(y - 6, 14))
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, tint, 1, cv2.LINE_AA)
