"""Faces as a camera far away films them: a small face in moving frames, coded, and found again.

The protocol's own degradation shares the shrinking with it and little else: light changes by a power, photons are
counted, H.264 codes three frames, and the alignment is a little wrong.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["film"]

SMALLEST_FACE = 14
MARGIN = (12, 8)
"""Pixels to the left of the face in the frame, and above it."""

Image = npt.NDArray[np.uint8]


def film(crop: Image, severity: float, rng: np.random.Generator) -> Image:
    """A crop as a camera far away would give it; severity as in `degrade`, 0 changes nothing."""
    if severity == 0:
        return crop.copy()
    draws = rng.random(12)
    signed = 2 * draws - 1
    side = round(112 * (SMALLEST_FACE / 112) ** (severity * (0.6 + 0.4 * draws[0])))
    light = _defocus(crop, 2.5 * severity * draws[1]) / 255.0
    light = 2 ** (severity * signed[2]) * light**2 ** (0.5 * severity * signed[3])
    posed = _moved(
        np.clip(light, 0, 1),
        zoom=2 ** (0.12 * severity * signed[4]),
        degrees=7 * severity * signed[5],
        shift=3.5 * severity * signed[6:8],
        size=(112, 112),
    )
    small = cv2.resize(posed, (side, side), interpolation=cv2.INTER_AREA)
    place = np.asarray(MARGIN) + rng.random(2)
    electrons = 4000 * (1 - 0.9 * severity * draws[10])
    frames = []
    for step in (-2, -1, 0):
        at = place + 1.5 * severity * signed[8:10] * step
        frame = _moved(small, shift=at, size=(side + 2 * MARGIN[0], side + 2 * MARGIN[1]))
        spread = np.sqrt(frame / electrons + (0.01 * severity) ** 2)
        noisy = frame + spread * rng.standard_normal(frame.shape)
        frames.append(np.clip(np.rint(255 * noisy), 0, 255).astype(np.uint8))
    last = _coded(frames, crf=round(20 + 18 * severity * draws[11]))[-1]
    found = place + 0.02 * severity * side * rng.standard_normal(2)
    scale = 112 / side
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = (scale - 1) / 2 - scale * found
    aligned: Image = cv2.warpAffine(last, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)
    return aligned


def _defocus(crop: Image, radius: float) -> Image:
    if radius <= 0.5:
        return crop
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    blurred: Image = cv2.filter2D(crop, -1, disc / disc.sum())
    return blurred


def _moved(
    image: npt.NDArray[Any],
    *,
    shift: npt.NDArray[np.float64],
    size: tuple[int, int],
    zoom: float = 1.0,
    degrees: float = 0.0,
) -> npt.NDArray[np.float32]:
    centre = ((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, zoom)
    matrix[:, 2] += shift
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)  # the codec asks for even sides
    moved: npt.NDArray[np.float32] = cv2.warpAffine(
        image.astype(np.float32), matrix, size, borderMode=cv2.BORDER_REPLICATE
    )
    return moved


def _coded(frames: Sequence[Image], *, crf: int) -> list[Image]:
    """What H.264 leaves of a short clip."""
    coded = io.BytesIO()
    with av.open(coded, "w", format="mp4") as file:
        settings = {"crf": str(crf), "preset": "veryfast", "bf": "0", "threads": "1"}
        stream = file.add_stream("libx264", rate=25, options=settings)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    coded.seek(0)
    with av.open(coded) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
