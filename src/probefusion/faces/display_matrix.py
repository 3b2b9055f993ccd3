"""Turning and mirroring a frame of a video as its file says that it is to be shown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.extras import import_extra

__all__ = ["shown_image"]

_ENTRIES = 9
_MOST_KINDS = 64
"""FFmpeg numbers the kinds of side data from 0; it has about 30."""


def shown_image(frame: Any) -> npt.NDArray[np.uint8]:
    """The pixels of a decoded frame as they are to be shown.

    A display matrix moves the pixel (x, y) to (ax + cy, bx + dy). The eight that turn by right angles, with or
    without mirroring, are followed; of any other the nearest of these, as a camera held a little aslant writes.

    Args:
        frame: The `av.VideoFrame`.

    Returns:
        (H, W, 3) uint8 RGB, contiguous.
    """
    image: npt.NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    matrix = _matrix(frame)
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _matrix(frame: Any) -> tuple[int, int, int, int] | None:
    """a, b, c, d of a frame's display matrix as whole numbers, or None where it has none."""
    try:
        side_data = frame.side_data
    except ValueError:
        side_data = _without_unknown(frame).side_data
    noted = side_data.get("DISPLAYMATRIX")
    if noted is None:
        return None
    values = np.frombuffer(bytes(noted), np.int32)
    if values.size < _ENTRIES:
        return None
    return int(values[0]), int(values[1]), int(values[3]), int(values[4])


def _without_unknown(frame: Any) -> Any:
    """The frame without side data of kinds that FFmpeg has and PyAV does not list, at which it gives up."""
    av = import_extra("av", extra="video", purpose="reading video")
    known = {kind.value for kind in av.sidedata.sidedata.Type}
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        )
    ]
    unknown = [number for number in range(_MOST_KINDS) if number not in known]
    nodes += [graph.add("sidedata", f"mode=delete:type={number}") for number in unknown]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull()
