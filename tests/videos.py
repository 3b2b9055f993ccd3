"""Small videos for the tests, written by FFmpeg."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def numbered_frames(count: int, *, height: int = 64, width: int = 96):
    """Frames whose grey level tells their number (8 levels apart), red in the upper left corner."""
    for number in range(count):
        frame = np.full((height, width, 3), 8 * number % 248, np.uint8)
        frame[: height // 4, : width // 4] = (255, 0, 0)
        yield frame


def write_video(
    path: Path,
    frames,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    times=None,
    options: dict[str, str] | None = None,
    array_format: str = "rgb24",
    gop: int = 5,
) -> Path:
    """Writes frames at `rate`, or at the given times in seconds."""
    with av.open(str(path), "w") as output:
        stream = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = output.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pix_fmt
                stream.gop_size = gop
                stream.codec_context.time_base = Fraction(1, 1000)
            picture = av.VideoFrame.from_ndarray(frame, format=array_format)
            picture.time_base = Fraction(1, 1000)
            moment = number / rate if times is None else times[number]
            picture.pts = round(1000 * moment)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def turn_clockwise(path: Path) -> None:
    """Writes the matrix of a phone held upright into an MP4: to be shown turned by 90 degrees."""
    set_display_matrix(path, (0, 1, -1, 0))


def set_display_matrix(
    path: Path, turn: tuple[float, float, float, float], *, shift: tuple[int, int] = (0, 0)
) -> None:
    """Writes a, b, c, d into the track header of an MP4 or MOV: (x, y) is shown at (ax + cy, bx + dy) + shift."""
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd")
    matrix = data.find(struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), place)
    assert place > 0 < matrix
    a, b, c, d = (round(65536 * value) for value in turn)
    across, down = (65536 * value for value in shift)
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, across, down, 1 << 30)
    path.write_bytes(bytes(data))
