"""Where a video comes from: files, webcams and streams, opened by FFmpeg (PyAV), and what they say of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probefusion.errors import FileFormatError
from probefusion.faces.decoding import MAX_PIXELS
from probefusion.faces.endings import VIDEO_SUFFIXES
from probefusion.faces.listing import as_text
from probefusion.files import check_existing
from probefusion.files.reading import in_one_line

__all__ = [
    "VideoFacts",
    "choose_stream",
    "failure_reason",
    "is_live",
    "is_video",
    "name_without_password",
    "open_container",
    "read_facts",
]

_URL = re.compile(r"(?i)^(rtsps?|rtmps?|https?|udp|rtp|tcp|srt)://")
_WEBCAM = re.compile(r"^webcam:(\d+)$")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")

_FILE_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,gif,mjpeg,h264,"
    "hevc,av1,ivf,yuv4mpegpipe,nut,rm,dv,wtv,swf,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""Containers that may be opened from a file; play lists and scripts, which open others, are not."""
_NETWORK_PROTOCOLS = "tcp,udp,rtp,rtsp,rtsps,tls,http,https,httpproxy,crypto,srt,rtmp,rtmps,rtmpt"


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
    return is_live(text) or (has_suffix and not Path(text).is_dir())


def is_live(source: str) -> bool:
    """Whether it is a camera or a stream instead of a file."""
    return bool(_URL.match(source) or _WEBCAM.match(source)) or _is_device(source)


def name_without_password(source: str | Path) -> str:
    """A path or address for messages: in one line, without user name and password."""
    return as_text(_CREDENTIALS.sub("", str(source)))


def open_container(av: Any, source: str | Path, *, timeout: float) -> Any:
    """Opens a source.

    Args:
        av: The package PyAV.
        source: As for `VideoReader`.
        timeout: Seconds without data after which a live source is given up.

    Returns:
        The `av` container.

    Raises:
        MissingFileError: If there is no such file or webcam.
        FileFormatError: If it cannot be opened as a video.
    """
    name, source = name_without_password(source), str(source)
    options = {"format_whitelist": _FILE_FORMATS, "protocol_whitelist": "file,pipe,fd"}
    settings: dict[str, Any] = {"metadata_errors": "replace"}
    camera = _WEBCAM.match(source)
    if camera is not None or _is_device(source):
        target = source if camera is None else f"/dev/video{camera[1]}"
        check_existing(target, name="webcam", devices=True)
        settings |= {"format": "v4l2", "timeout": (timeout, timeout)}
        options = {}
    elif _URL.match(source):
        target = source
        settings["timeout"] = (timeout, timeout)
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
        return av.open(target, options=options, **settings)
    except (av.FFmpegError, ValueError) as error:
        hint = (
            "Check the address and that the camera is on."
            if is_live(source)
            else "It may be damaged, cut off or another kind of file: check that it plays."
        )
        raise FileFormatError(
            f"{name}: expected a video, could not open it ({failure_reason(error)}). {hint}"
        ) from error


def choose_stream(av: Any, container: Any, *, name: str) -> Any:
    """The video stream of the most pixels; pictures attached to sound are none.

    Raises:
        FileFormatError: If there is none, or its frames are absurdly large.
    """
    attached = av.stream.Disposition.attached_pic
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & attached and stream.codec_context is not None
    ]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["none"]
        raise FileFormatError(f"{name}: expected a video stream, found only: {', '.join(kinds)}.")
    stream = max(streams, key=lambda stream: (stream.width or 0) * (stream.height or 0))
    if (stream.width or 0) * (stream.height or 0) > MAX_PIXELS:
        raise FileFormatError(
            f"{name}: frames of {stream.width}x{stream.height} pixels, expected at most "
            f"{MAX_PIXELS:,} pixels. Scale the video down first."
        )
    return stream


def read_facts(av: Any, container: Any, stream: Any, *, name: str, is_live: bool) -> VideoFacts:
    """What a container says of the stream that was chosen."""
    rate = stream.average_rate or stream.guessed_rate
    frame_rate = float(rate) if rate else None
    duration = None
    if not is_live:
        if stream.duration is not None and stream.time_base is not None:
            duration = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            duration = container.duration / av.time_base
    num_frames: int | None = stream.frames or None
    if num_frames is None and duration is not None and frame_rate is not None:
        num_frames = max(1, round(duration * frame_rate))
    return VideoFacts(
        source=name,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=stream.width or 0,
        height=stream.height or 0,
        frame_rate=frame_rate,
        duration=duration,
        num_frames=num_frames,
        is_live=is_live,
    )


def failure_reason(error: Exception) -> str:
    """What FFmpeg says of an error, without the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).split(": '")[0]


def _is_device(source: str) -> bool:
    try:
        return Path(source).is_char_device()
    except (OSError, ValueError):
        return False
