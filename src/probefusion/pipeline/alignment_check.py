"""Are images that are said to be aligned crops aligned? A face detector that is at hand looks at some of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, ProbeFusionError
from probefusion.faces import ARCFACE_LANDMARKS, Detector, largest_face

__all__ = ["AlignmentCheck", "landmark_offset"]

_log = logging.getLogger("probefusion")

_DETECTORS = ("yunet_2023mar", "yunet_320")

_SIDE = 112
_MARGIN = 56
"""Pixels set around a crop, in which the detector finds faces better."""

_IMAGES = 12
"""So many images of a pipeline are looked at."""

_ENOUGH, _LARGEST, _LARGEST_OF_FEW = 5, 9.0, 16.0
"""The median offset from which images are refused, in pixels of a 112x112 crop, where so many faces were found,
and where fewer were. Of 600 aligned crops of four data sets the median was 4 to 5 and one in a hundred had
6 to 12; the same moved by up to 14 pixels, or with the face a third smaller, had a median of 11 to 12."""


class AlignmentCheck:
    """Looks at the first crops of a pipeline, if a detector was pulled; without one nothing is checked.

    Args:
        detector: The detector; None takes a known one that is on this machine, if there is one.
    """

    def __init__(self, detector: Detector | None = None) -> None:
        self._detector = detector
        self._num_seen = 0
        self._offsets: list[float] = []

    @property
    def num_wanted(self) -> int:
        """How many more images it wants to see."""
        return _IMAGES - self._num_seen

    def look_at(self, images: Iterable[npt.NDArray[np.uint8]]) -> None:
        """Refuses images whose faces do not stand where aligned crops have them.

        Args:
            images: (H, W, 3) uint8 RGB; those that are not square are passed over.

        Raises:
            ConfigError: If the faces of the images seen so far lie elsewhere.
        """
        detector = self._detector or _detector_at_hand()
        if detector is None:
            self._num_seen = _IMAGES
            return
        for image in images:
            self._num_seen += 1
            offset = landmark_offset(image, detector)
            if offset is not None:
                self._offsets.append(offset)
        if not self._offsets:
            return
        median = float(np.median(self._offsets))
        largest = _LARGEST if len(self._offsets) >= _ENOUGH else _LARGEST_OF_FEW
        if median > largest:
            raise ConfigError(
                f"--aligned: in {len(self._offsets)} of {self._num_seen} images that were looked at, eyes, nose "
                f"and mouth lie {median:.0f} pixels (median) from where aligned crops of 112x112 have them. Give "
                f"--detector in place of --aligned (detector= for aligned=True), or align them as "
                f"probefusion.faces.align_face does."
            )


def landmark_offset(image: npt.NDArray[np.uint8], detector: Detector) -> float | None:
    """How far the landmarks of a crop are from their standard places, in pixels of a 112x112 crop.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: Finds the face.

    Returns:
        The root mean square of the five distances, or None if it is not square or no face is found.
    """
    if image.shape[0] != image.shape[1]:
        return None
    from probefusion.faces.images import scale_square

    canvas = np.zeros((_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN, 3), np.uint8)
    canvas[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = scale_square(image, _SIDE)
    face = largest_face(detector.detect(canvas))
    if face is None:
        return None
    squares = np.sum((face.landmarks - _MARGIN - ARCFACE_LANDMARKS) ** 2, axis=1)
    return float(np.sqrt(squares.mean()))


@cache
def _detector_at_hand() -> Detector | None:
    """A known detector that is on this machine already."""
    from probefusion.zoo import load_detector

    for name in _DETECTORS:
        try:
            return load_detector(name)
        except ProbeFusionError as error:  # not pulled, or not whole: this check can do without
            _log.debug("alignment is not checked with %s: %s", name, error)
    return None
