"""A look at faces that were found: does the place show a face that stands upright by its landmarks?

A small network sees the face in grey, put upright by its landmarks, and says so for a tenth of what it costs to
search the place once more. It is asked before a doubtful face is looked at in four turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.extras import import_cv2
from probefusion.faces.align import ARCFACE_LANDMARKS
from probefusion.faces.face import Face
from probefusion.files import bundled_folder, check_file, sha256_of
from probefusion.sessions import run_outputs, start_session
from probefusion.types import FloatArray

__all__ = ["STANCE_MARK", "WITHOUT_STANCE", "StanceNetwork", "grey_square", "turns_of"]

STANCE_MARK = "/stance@"
"""Stands in a detector's fingerprint before the hash of the small network that says which faces stand upright.

Where it is absent a former release made the fingerprint, which did not say what it asked."""

WITHOUT_STANCE = f"{STANCE_MARK}none"
"""What the fingerprint of a detector ends with that does not ask it: all doubtful faces are looked at again."""

_FILE = "stance.onnx"
_SIDE = 32
_REDUCED = 0.25
_PLACES = ARCFACE_LANDMARKS * _REDUCED + (_SIDE - 112 * _REDUCED) / 2
_CENTRE = _PLACES.mean(axis=0)
_SHAPE = (_PLACES - _CENTRE) @ np.array([1, 1j])
"""Where the network sees landmarks, and so from their middle, as complex numbers."""


class StanceNetwork:
    """Says of faces that were found whether they stand upright, for any detector.

    The network is started when it is first asked. It is the same for all detectors: it sees the pixels and the
    five landmarks, not a score.
    """

    def __init__(self) -> None:
        self._session: Any = None
        path = check_file(bundled_folder() / _FILE, name="network")
        self.mark = f"{STANCE_MARK}{sha256_of(path)[:12]}"
        """What the fingerprint of a detector ends with that asks it: other weights may find other faces."""

    def log_odds(self, image: npt.NDArray[np.uint8], faces: Sequence[Face]) -> FloatArray:
        """How surely each place shows an upright face.

        Args:
            image: (H, W, 3) uint8 RGB.
            faces: K faces of it.

        Returns:
            (K,) float32 log-odds, (0,) for no faces; minus infinity where landmarks are not finite or lie in
            one place.
        """
        said = np.full(len(faces), -np.inf, np.float32)
        spread = [place for place, face in enumerate(faces) if _span_a_face(face.landmarks)]
        if not spread:
            return said
        if self._session is None:
            self._session = start_session(
                check_file(bundled_folder() / _FILE, name="network"), num_threads=1
            )
        squares = np.stack([grey_square(image, faces[place].landmarks) for place in spread])
        feed = {"squares": squares[:, None].astype(np.float32)}
        (rows,) = run_outputs(self._session, ["log_odds"], feed, where=f" of {_FILE}")
        said[spread] = rows
        return said


def _span_a_face(landmarks: FloatArray) -> bool:
    return bool(np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).any())


def turns_of(landmarks: Sequence[npt.ArrayLike]) -> npt.NDArray[np.complex128]:
    """The turn and scale that put faces upright, as `similarity_transform` has it, for many at once.

    Args:
        landmarks: K faces' (5, 2) x and y.

    Returns:
        (K,) complex: their angle is the turn, their length the scale to what the network sees. NaN or infinite where
        landmarks are not finite or lie in one place.
    """
    points = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        shapes = (points - points.mean(axis=1, keepdims=True)) @ np.array([1, 1j])
        lengths = (np.abs(shapes) ** 2).sum(axis=1)
        turns: npt.NDArray[np.complex128] = (shapes.conj() @ _SHAPE) / lengths
    return turns


def grey_square(image: npt.NDArray[np.uint8], landmarks: FloatArray) -> npt.NDArray[np.uint8]:
    """What the network sees of a face.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) x and y, not all in one place.

    Returns:
        (32, 32) uint8: the face in grey, put upright by its landmarks, a quarter of a crop of 112 large.
    """
    cv2 = import_cv2("detecting faces")
    centre = np.mean(landmarks, axis=0, dtype=np.float64)
    turn = complex(turns_of([landmarks])[0])
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    matrix = np.column_stack([linear, _CENTRE - linear @ centre])
    colour = cv2.warpAffine(
        image, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    grey: npt.NDArray[np.uint8] = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    return grey
