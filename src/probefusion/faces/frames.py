"""Reading video: files, webcams and streams to RGB frames with their times, one frame in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError
from probefusion.extras import import_extra
from probefusion.faces.cut_off import cut_off
from probefusion.faces.damage_watch import DamageWatch
from probefusion.faces.decoding import MAX_PIXELS
from probefusion.faces.display_matrix import shown_image
from probefusion.faces.endings import VIDEO_SUFFIXES
from probefusion.faces.fragments import has_fragments, unread_fragments
from probefusion.faces.video_source import (
    VideoFacts,
    choose_stream,
    failure_reason,
    is_live,
    is_video,
    name_without_password,
    open_container,
    read_facts,
)

__all__ = ["VIDEO_SUFFIXES", "VideoFacts", "VideoFrame", "VideoReader", "is_video"]

_MAX_FAILURES = 50
"""Reading is given up after this many errors in a row."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoFrame:
    """One frame.

    Args:
        index: Its place from where reading began, from 0, counting the frames that were passed over.
        time: Seconds since the start of the stream; never less than that of the frame before.
        image: (H, W, 3) uint8 RGB, turned upright.
    """

    index: int
    time: float
    image: npt.NDArray[np.uint8]


class VideoReader:
    """The frames of a video, a webcam or a stream, decoded one after the other by FFmpeg (PyAV).

    Damaged places are passed over and told, with their seconds, and what comes before and after them is given.
    So is a file that is cut off. Some damage cannot be noticed: bits of a frame that decode to another picture
    (VP8 and VP9 have no check sums), a single frame lost without a trace, and what is missing before the first
    frame. Pictures behind a damaged place may be smeared up to the next key frame. Grey, palette and high-bit-depth
    video becomes 8-bit RGB, transparency is dropped, and the turn and the mirroring that the file notes are
    applied. Times are those of the stream, so a variable frame rate is kept.

    Use as a context manager and iterate once.

    Args:
        source: A file; `webcam:0` or a device such as `/dev/video0` (Linux); or an address that begins
            with rtsp, rtmp, http(s), udp, rtp, tcp or srt.
        every: Give every k-th frame only. All are decoded, as compression needs it.
        start: Seconds at which to begin.
        stop: Seconds at which to end, or None for the end of the stream.
        timeout: Seconds without data after which a live source is given up.
        num_threads: Threads of the decoder; None leaves the choice to FFmpeg.

    Attributes:
        facts: What the video says of itself.
        num_read: Frames decoded so far (those before `start` not counted).
        num_given: Frames given so far.
        problems: What went wrong, in words; () after a clean run.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no video, holds no video stream, or has absurdly large frames.
        ConfigError: If an argument is out of range.
        MissingExtraError: If PyAV is not installed.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        every: int = 1,
        start: float = 0.0,
        stop: float | None = None,
        timeout: float = 15.0,
        num_threads: int | None = None,
    ) -> None:
        if every < 1:
            raise ConfigError(f"every: expected at least 1, got {every}.")
        if not 0 <= start < float("inf"):
            raise ConfigError(f"start: expected seconds of at least 0, got {start}.")
        if stop is not None and not stop > start:
            raise ConfigError(f"stop: expected more than the start ({start} s), got {stop}.")
        self._every, self._start, self._stop, self._timeout = every, start, stop, timeout
        self._source, self._name = source, name_without_password(source)
        self._av = import_extra("av", extra="video", purpose="reading video")
        self._av.logging.set_level(None)
        self._is_live = is_live(str(source))
        self._container = open_container(self._av, source, timeout=timeout)
        try:
            self._stream = choose_stream(self._av, self._container, name=self._name)
            self.facts = read_facts(
                self._av, self._container, self._stream, name=self._name, is_live=self._is_live
            )
            is_mp4 = not self._is_live and "mp4" in self.facts.container.split(",")
            self._is_fragmented = is_mp4 and has_fragments(Path(source))
        except BaseException:
            self._container.close()
            raise
        if num_threads is not None:
            self._stream.codec_context.thread_count = num_threads
        self._stream.thread_type = "AUTO"
        self._step = 1 / (self.facts.frame_rate or 25.0)
        self._too_large: tuple[int, int] | None = None
        self.num_read = self.num_given = 0
        self._damage = DamageWatch(self._stream, self.facts, is_fragmented=self._is_fragmented)
        self._ending: str | None = None
        self._cut_off: str | None = None

    @property
    def step(self) -> float:
        """Seconds from one given frame to the next, on average."""
        return self._step * self._every

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, in words; () after a clean run."""
        found = [*self._damage.problems]
        if self._too_large is not None:
            width, height = self._too_large
            found.append(
                f"frames of {width}x{height} pixels were passed over (expected at most {MAX_PIXELS:,} pixels)"
            )
        if self._ending is not None:
            found.append(self._ending)
        if self._cut_off is not None:
            found.append(self._cut_off)
        return tuple(found)

    @property
    def num_damaged(self) -> int:
        """Packets and frames that are marked as damaged or could not be decoded, or only with faults."""
        return self._damage.num_damaged

    @property
    def num_missing(self) -> int:
        """Frames that are missing between those that came; 0 for live sources."""
        return self._damage.num_missing

    def close(self) -> None:
        """Lets go of the file or device."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    @property
    def num_expected(self) -> int | None:
        """How many frames `num_read` will reach between start and stop, estimated; None where unknown."""
        total, rate = self.facts.num_frames, self.facts.frame_rate
        if total is None or rate is None:
            return total
        first = math.ceil(self._start * rate - 1e-6)
        last = total if self._stop is None else min(total, math.ceil(self._stop * rate - 1e-6))
        return max(0, last - first)

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames.

        Raises:
            FileFormatError: At the end, if no frame could be decoded.
        """
        begin, end = self._first_time(), 0.0
        if self._start > 0 and not self._is_live:
            self._seek((begin or 0.0) + self._start)
        last = -self._step
        index = -1
        for frame in self._frames():
            if begin is None:
                begin = frame.time if frame.time is not None else 0.0
            time = last + self._step if frame.time is None else frame.time - begin
            time = max(time, last, 0.0)
            if time < self._start - 1e-6:
                last = time
                continue
            if self._stop is not None and time >= self._stop - 1e-6:
                return
            last, index = time, index + 1
            self._damage.frame(frame.time, begin=begin)
            end = max(end, time + self._shown_for(frame))
            self.num_read += 1
            if index % self._every:
                continue
            if frame.width * frame.height > MAX_PIXELS:
                self._too_large = (frame.width, frame.height)
                continue
            self.num_given += 1
            yield VideoFrame(index=index, time=float(time), image=shown_image(frame))
        if self.num_read == 0:
            raise FileFormatError(
                f"{self._name}: expected a video, no frame of it could be decoded"
                f"{f' after {self._start:g} s' if self._start else ''}"
                f"{' (' + '; '.join(self.problems) + ')' if self.problems else ''}. Check that it plays."
            )
        whole = self._start == 0
        if self._is_live:
            return
        if self._is_fragmented:
            self._cut_off = unread_fragments(Path(self._source))
        if self._cut_off is None and not (
            whole and self._damage.is_short(end, self.facts.duration)
        ):
            self._cut_off = cut_off(
                self._stream,
                self.facts.duration,
                is_alone=len(self._container.streams) == 1,
                num_read=self.num_read if whole else None,
                end=end,
                step=max(self._step, (end - self._start) / self.num_read),
            )

    def _shown_for(self, frame: Any) -> float:
        """Seconds for which a frame is shown, as the file says or on average."""
        duration = getattr(frame, "duration", None)
        if duration and frame.time_base is not None:
            return float(duration * frame.time_base)
        return self._step

    def _first_time(self) -> float | None:
        stream = self._stream
        if self._is_live or stream.start_time is None or stream.time_base is None:
            return None
        return float(stream.start_time * stream.time_base)

    def _seek(self, time: float) -> None:
        """Goes to the last key frame before a time; where that fails, frames are read up to it."""
        stream = self._stream
        if stream.time_base is None:
            return
        try:
            self._container.seek(max(0, int(time / stream.time_base)), stream=stream)
        except self._av.FFmpegError:
            return

    def _frames(self) -> Iterator[Any]:
        """Decoded frames; what cannot be decoded is counted."""
        for packet in self._packets():
            try:
                frames = packet.decode() if packet is not None else self._flush()
            except self._av.FFmpegError:
                self._damage.error()
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._damage.error(frame.time)
                else:
                    yield frame

    def _flush(self) -> list[Any]:
        """What the decoder still holds when reading ended with an error."""
        frames: list[Any] = self._stream.codec_context.decode(None)
        return frames

    def _packets(self) -> Iterator[Any]:
        """Packets of the stream, going on behind damaged places; None when it broke off."""
        failures, is_flushed = 0, False
        while True:
            try:
                for packet in self._container.demux():
                    failures = 0
                    self._damage.packet(packet)
                    if packet.stream_index == self._stream.index:
                        is_flushed = is_flushed or not packet.size
                        yield packet
                return
            except IndexError:  # PyAV: streams that damage made appear are not known at the end
                if is_flushed:
                    return
            except (self._av.error.ExitError, self._av.error.TimeoutError):
                self._ending = f"no data for {self._timeout:g} s: the source was given up"
            except (self._av.error.InvalidDataError, self._av.error.BugError):
                failures += 1
                self._damage.error()
                if failures < _MAX_FAILURES:
                    continue
                self._ending = f"given up after {failures} damaged places in a row"
            except self._av.FFmpegError as error:
                self._ending = f"reading broke off ({failure_reason(error)})"
            yield None
            return
