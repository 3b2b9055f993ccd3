"""Following faces from frame to frame by their motion: ByteTrack over the boxes of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from probefusion.errors import ConfigError
from probefusion.extras import import_extra
from probefusion.faces.detect import Face

__all__ = ["MotionTracker"]

_SCORE = 0.5
"""Faces below this score only go on with a track, they begin none."""
_OVERLAP = 0.2
"""Least intersection over union of a face with the place where a track is expected. Small faces move
by half their width between frames."""
_MAX_BOX = 1e7


class MotionTracker:
    """Says which boxes of successive frames are one moving face.

    Only motion is looked at: boxes that overlap the place where a Kalman filter expects a face go on
    with it, best overlap first, sure detections before unsure ones. Whether they show the same person
    must be asked of their embeddings.

    Source: Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
    in the implementation of the package `edgefirst-tracker`.

    Args:
        max_gap: Seconds for which an unseen face is still expected.

    Raises:
        ConfigError: If `max_gap` is not above 0.
        MissingExtraError: If `edgefirst-tracker` is not installed.
    """

    def __init__(self, *, max_gap: float = 0.5) -> None:
        if not 0 < max_gap < 1e6:
            raise ConfigError(f"max_gap: expected seconds above 0, got {max_gap}.")
        package = import_extra("edgefirst.tracker", extra="video", purpose="tracking faces")
        self._tracker: Any = package.ByteTrack(
            high_conf=_SCORE, iou=_OVERLAP, lifespan_ns=int(max_gap * 1e9)
        )

    def update(self, faces: Sequence[Face], time: float) -> list[str | None]:
        """Takes the faces of the next frame.

        Args:
            faces: Faces of one frame, in any order; may be empty, and must be given even then.
            time: Its time in seconds, not before that of the frame before.

        Returns:
            For each face the name of the moving face it belongs to, or None for an unsure detection
            that goes on with none. Names are unique within this tracker.
        """
        boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes = np.clip(np.nan_to_num(boxes), -_MAX_BOX, _MAX_BOX)
        found = self._tracker.update(
            boxes.astype(np.float32),
            np.array([face.score for face in faces], np.float32),
            np.zeros(len(faces), np.uintp),
            int(time * 1e9),
        )
        return [None if track is None else str(track.uuid) for track in found]
