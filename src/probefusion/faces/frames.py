"""Reading video: files, webcams and streams to RGB frames with their times, one frame in memory."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError
from probefusion.extras import import_extra
from probefusion.faces.cut_off import cut_off
from probefusion.faces.decoding import MAX_PIXELS
from probefusion.faces.endings import VIDEO_SUFFIXES
from probefusion.faces.listing import as_text
from probefusion.files import check_existing
from probefusion.files.reading import in_one_line

__all__ = ["VIDEO_SUFFIXES", "VideoFacts", "VideoFrame", "VideoReader", "is_video"]

_URL = re.compile(r"(?i)^(rtsps?|rtmps?|https?|udp|rtp|tcp|srt)://")
_WEBCAM = re.compile(r"^webcam:(\d+)$")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")

_FILE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,gif,mjpeg,h264,"
    "hevc,av1,ivf,yuv4mpegpipe,nut,rm,dv,wtv,swf,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Containers that may be opened from a file; play lists and scripts, which open others, are not."""
_NETWORK_PROTOCOLS = "tcp,udp,rtp,rtsp,rtsps,tls,http,https,httpproxy,crypto,srt,rtmp,rtmps,rtmpt"
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


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What a video says of itself before it is read.

    Args:
        source: The path or address, without user name and password.
        container: Short name of the file format.
        codec: Short name of the compression.
        width: Pixels across, as stored (before turning).
        height: Pixels down, as stored.
        frame_rate: Mean frames per second, or None where unknown.
        duration: Seconds, or None for a live source.
        num_frames: Frames promised, possibly estimated from the duration; None where unknown.
        is_live: Whether it is a camera or a stream instead of a file.
    """

    source: str
    container: str
    codec: str
    width: int
    height: int
    frame_rate: float | None
    duration: float | None
    num_frames: int | None
    is_live: bool


def is_video(source: str | Path) -> bool:
    """Whether a path or address stands for a video: a known suffix, a stream's URL or a webcam.

    Nothing is opened.
    """
    text = str(source)
    has_suffix = Path(text).suffix.lower() in VIDEO_SUFFIXES
    return _is_live(text) or (has_suffix and not Path(text).is_dir())


class VideoReader:
    """The frames of a video, a webcam or a stream, decoded one after the other by FFmpeg (PyAV).

    Damaged places are passed over and counted, and what comes before and after them is given. So is
    a file that is cut off. Grey, palette and high-bit-depth video becomes 8-bit RGB, transparency is
    dropped, and the rotation a phone noted is applied. Times are those of the stream, so a variable frame rate is kept.

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
        num_damaged: Packets and frames that could not be decoded, or only with faults.
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
        self._name = as_text(_CREDENTIALS.sub("", str(source)))
        self._av = import_extra("av", extra="video", purpose="reading video")
        self._av.logging.set_level(None)
        self._is_live = _is_live(str(source))
        self._container = self._open(str(source))
        try:
            self._stream = self._choose_stream()
            self.facts = self._read_facts()
        except BaseException:
            self._container.close()
            raise
        if num_threads is not None:
            self._stream.codec_context.thread_count = num_threads
        self._stream.thread_type = "AUTO"
        self._step = 1 / (self.facts.frame_rate or 25.0)
        self._too_large: tuple[int, int] | None = None
        self.num_read = self.num_given = self.num_damaged = 0
        self._ending: str | None = None
        self._cut_off: str | None = None

    @property
    def step(self) -> float:
        """Seconds from one given frame to the next, on average."""
        return self._step * self._every

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, in words; () after a clean run."""
        found = []
        if self.num_damaged:
            found.append(f"{self.num_damaged} damaged packets or frames were passed over")
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
            end = max(end, time + self._shown_for(frame))
            self.num_read += 1
            if index % self._every:
                continue
            if frame.width * frame.height > MAX_PIXELS:
                self._too_large = (frame.width, frame.height)
                continue
            self.num_given += 1
            yield VideoFrame(index=index, time=float(time), image=_upright(frame))
        if self.num_read == 0:
            raise FileFormatError(
                f"{self._name}: expected a video, no frame of it could be decoded"
                f"{f' after {self._start:g} s' if self._start else ''}"
                f"{' (' + '; '.join(self.problems) + ')' if self.problems else ''}. Check that it plays."
            )
        if not self._is_live:
            self._cut_off = cut_off(
                self._stream,
                self.facts.duration,
                is_alone=len(self._container.streams) == 1,
                num_read=self.num_read if self._start == 0 else None,
                end=end,
                step=max(self._step, (end - self._start) / self.num_read),
            )

    def _open(self, source: str) -> Any:
        options = {"format_whitelist": _FILE_FORMATS, "protocol_whitelist": "file,pipe,fd"}
        settings: dict[str, Any] = {"metadata_errors": "replace"}
        camera = _WEBCAM.match(source)
        if camera is not None or _is_device(source):
            target = source if camera is None else f"/dev/video{camera[1]}"
            check_existing(target, name="webcam", devices=True)
            settings |= {"format": "v4l2", "timeout": (self._timeout, self._timeout)}
            options = {}
        elif _URL.match(source):
            target = source
            settings["timeout"] = (self._timeout, self._timeout)
            options = {"protocol_whitelist": _NETWORK_PROTOCOLS}
            if source.lower().startswith("rtsp"):
                options["rtsp_transport"] = "tcp"
        else:
            path = check_existing(source, name="video")
            if not path.is_file():
                raise FileFormatError(
                    f"{in_one_line(source)}: expected a video file, got a folder or pipe."
                )
            target = f"file:{path}"
        try:
            return self._av.open(target, options=options, **settings)
        except (self._av.FFmpegError, ValueError) as error:
            hint = (
                "Check the address and that the camera is on."
                if self._is_live
                else "It may be damaged, cut off or another kind of file: check that it plays."
            )
            raise FileFormatError(
                f"{self._name}: expected a video, could not open it ({_reason(error)}). {hint}"
            ) from error

    def _choose_stream(self) -> Any:
        attached = self._av.stream.Disposition.attached_pic
        streams = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & attached and stream.codec_context is not None
        ]
        if not streams:
            kinds = sorted({stream.type for stream in self._container.streams}) or ["none"]
            raise FileFormatError(
                f"{self._name}: expected a video stream, found only: {', '.join(kinds)}."
            )
        stream = max(streams, key=lambda stream: (stream.width or 0) * (stream.height or 0))
        if (stream.width or 0) * (stream.height or 0) > MAX_PIXELS:
            raise FileFormatError(
                f"{self._name}: frames of {stream.width}x{stream.height} pixels, expected at most "
                f"{MAX_PIXELS:,} pixels. Scale the video down first."
            )
        return stream

    def _read_facts(self) -> VideoFacts:
        stream, container = self._stream, self._container
        rate = stream.average_rate or stream.guessed_rate
        frame_rate = float(rate) if rate else None
        duration = None
        if not self._is_live:
            if stream.duration is not None and stream.time_base is not None:
                duration = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                duration = container.duration / self._av.time_base
        num_frames: int | None = stream.frames or None
        if num_frames is None and duration is not None and frame_rate is not None:
            num_frames = max(1, round(duration * frame_rate))
        return VideoFacts(
            source=self._name,
            container=container.format.name,
            codec=stream.codec_context.name,
            width=stream.width or 0,
            height=stream.height or 0,
            frame_rate=frame_rate,
            duration=duration,
            num_frames=num_frames,
            is_live=self._is_live,
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
                self.num_damaged += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.num_damaged += 1
                else:
                    yield frame

    def _flush(self) -> list[Any]:
        """What the decoder still holds when reading ended with an error."""
        frames: list[Any] = self._stream.codec_context.decode(None)
        return frames

    def _packets(self) -> Iterator[Any]:
        """Packets of the stream, going on behind damaged places; None when it broke off."""
        failures = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    yield packet
                return
            except (self._av.error.ExitError, self._av.error.TimeoutError):
                self._ending = f"no data for {self._timeout:g} s: the source was given up"
            except (self._av.error.InvalidDataError, self._av.error.BugError):
                failures += 1
                self.num_damaged += 1
                if failures < _MAX_FAILURES:
                    continue
                self._ending = f"given up after {failures} damaged places in a row"
            except self._av.FFmpegError as error:
                self._ending = f"reading broke off ({_reason(error)})"
            yield None
            return


def _is_device(source: str) -> bool:
    try:
        return Path(source).is_char_device()
    except (OSError, ValueError):
        return False


def _is_live(source: str) -> bool:
    return bool(_URL.match(source) or _WEBCAM.match(source)) or _is_device(source)


def _upright(frame: Any) -> npt.NDArray[np.uint8]:
    image: npt.NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).split(": '")[0]
