"""The faces of a video's frames, which are all turned alike: one search of each frame, and now and then a check."""

from __future__ import annotations

from collections import Counter, deque
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from probefusion.faces.face import Detector, Face

__all__ = ["FrameSearch"]

_VOTES = 5
"""So many of the last checks that found a face say how the frames are turned."""
_FIRST_FRAMES = 8
"""So many frames are checked at the beginning, or fewer where three checks found a face."""
_ENOUGH = 3
_EVERY = 64
"""After them every so many frames one is checked: the camera may be turned."""


@runtime_checkable
class _FindsTurned(Protocol):
    """A detector that can be told how an image is turned."""

    def detect_turned(self, image: npt.NDArray[np.uint8], turned: int) -> tuple[Face, ...]:
        """As `YuNetDetector.detect_turned`."""


class FrameSearch:
    """Finds the faces of frames, one after the other.

    Whether a face stands upright is asked of a few frames only, so that a frame costs one search. All frames are
    taken to be turned as the majority of the last checks said, and searched in one way: where a clip is cut, and
    so which frames are checked, changes no landmark.

    Args:
        detector: Finds the faces. One without `detect_turned` is asked for its faces and nothing else.

    Attributes:
        turned: By how many degrees the frames are turned counter-clockwise, as far as is known.
    """

    def __init__(self, detector: Detector) -> None:
        self.turned = 0
        self._detector = detector
        self._votes: deque[int] = deque(maxlen=_VOTES)
        self._num_frames = 0

    def detect(self, image: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        """The faces of the next frame, (H, W, 3) uint8 RGB, in its own pixels; the largest first."""
        if not isinstance(self._detector, _FindsTurned):
            return self._detector.detect(image)
        is_check = self._is_check()
        self._num_frames += 1
        if is_check and (faces := self._detector.detect(image)):
            self._votes.append(max(faces, key=lambda face: face.score).turned)
            counts = Counter(self._votes)
            if counts[self.turned] < max(counts.values()):
                self.turned = counts.most_common(1)[0][0]
        return self._detector.detect_turned(image, self.turned)

    def _is_check(self) -> bool:
        is_early = self._num_frames < _FIRST_FRAMES and len(self._votes) < _ENOUGH
        return is_early or self._num_frames % _EVERY == 0
