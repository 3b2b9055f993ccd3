"""One face in one frame, and a stretch of frames in which a person was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.types import FloatArray

__all__ = ["Segment", "Sighting"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """One face in one frame, embedded.

    Args:
        frame: Index of the frame.
        time: Seconds since the start.
        box: (4,) float32: x, y, width, height in pixels.
        score: The detector's.
        crop: (S, S, 3) uint8 RGB, aligned.
        embedding: (D,) float32.
        style: (C, 2) float32, or None.
        own_template: (D,) float32 unit vector: what the fuser makes of this image alone.
        quality: Logarithm of the weight that the crop deserves by its look, or None where the fuser
            does not need it.
    """

    frame: int
    time: float
    box: FloatArray
    score: float
    crop: npt.NDArray[np.uint8]
    embedding: FloatArray
    style: FloatArray | None
    own_template: FloatArray
    quality: float | None = None


@dataclass(kw_only=True)
class Segment:
    """A stretch without a long gap in which a person was seen."""

    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
