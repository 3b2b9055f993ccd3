"""Are images that are said to be aligned crops aligned? A face detector that is at hand looks at some of them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, InvalidInputError, ProbeFusionError
from probefusion.faces import (
    ARCFACE_LANDMARKS,
    Detector,
    ImageSource,
    SkippedImage,
    largest_face,
    list_images,
    read_images,
)
from probefusion.faces.decoding import decode_or_reason
from probefusion.faces.images import CROP_SIZES, scale_square

__all__ = [
    "AlignmentCheck",
    "UnalignedPersonError",
    "check_data_aligned",
    "landmark_offset",
    "median_offset",
    "spread",
]

Item = TypeVar("Item")

Paths: TypeAlias = str | Path | ImageSource | Iterable[str | Path | ImageSource]

_log = logging.getLogger("probefusion")

_DETECTORS = ("yunet_2023mar", "yunet_320")

_SIDE = 112
_MARGIN = 56
"""Pixels set around a crop, in which the detector finds faces better."""

_IMAGES = 12
"""So many images of each person are looked at."""

_IMAGES_OF_DATA = 64
"""So many images of a data set are looked at."""

_LARGEST = ((32, 7.5), (5, 9.0), (1, 16.0))
"""Number of faces found, and the median offset from which images are refused where so many were found, in
pixels of a 112x112 crop. Of aligned crops (500 each of LFW and IMFDB, 200 each of FIW and YTF) the median of 64
was 3.7 to 5.6, and 4.1 to 6.0 after scaling them down to 24x24; moved by 9 to 14 pixels, shrunk by a third, or cut
by the detector's box it was 12 to 25. Only crops that are enlarged by a third come near: 7 to 11."""

_FEWEST_FACES = 0.25
"""Below this share of images with a face a data set is questioned: of aligned crops of 16x16 pixels it was 0.75."""

_DETECTOR_STEP = (
    "Give --detector in place of --aligned (detector= for aligned=True), or align them as "
    "probefusion.faces.align_face does."
)
_DATA_STEP = (
    "Align them as probefusion.faces.align_face does; if they are aligned as the embedder wants them, say so by "
    "--trust-alignment (trust_alignment=True)."
)


class UnalignedPersonError(ConfigError):
    """The images of one person are not aligned, unlike those that were looked at before."""


class AlignmentCheck:
    """Looks at some crops of each person, if a detector was pulled.

    Each person is judged alone, and with the images that were looked at last, which tells more where there
    are few of each. Without a detector, squares of another size than 112x112 are noted in the log, once.

    Args:
        detector: The detector; None takes a known one that is on this machine, if there is one.
        num_images: How many images of a person it wants to see.
        name: The argument that says that they are aligned, for messages.
        step: What to do where they are not, as sentences.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        *,
        num_images: int = _IMAGES,
        name: str = "--aligned",
        step: str = _DETECTOR_STEP,
    ) -> None:
        self._detector = detector
        self.num_images, self._name, self._step = num_images, name, step
        self._detector_used: Detector | None = None
        self._is_noted = False
        self._offsets: deque[float | None] = deque(maxlen=num_images)

    def chosen(self, paths: Paths) -> Iterator[npt.NDArray[np.uint8]]:
        """The images that it wants to see of a person's, spread evenly; decoded when asked for.

        Args:
            paths: As for `list_images`.
        """
        for _, image in read_images(spread(list_images(paths)[0], self.num_images)):
            if not isinstance(image, SkippedImage):
                yield image

    def look_at(self, images: Iterable[npt.NDArray[np.uint8]]) -> None:
        """Refuses images of a person whose faces do not stand where aligned crops have them.

        Args:
            images: (H, W, 3) uint8 RGB; those that are not square are passed over. What is refused does not
                count when others are looked at later.

        Raises:
            ConfigError: If the faces of these and the last images before lie elsewhere.
            UnalignedPersonError: If those of these images alone do, unlike others before.
        """
        detector = self._detector_used = self._detector or _detector_at_hand()
        if detector is None:
            if not self._is_noted and any(_is_resized(image) for image in images):
                self.note_not_looked()
            return
        own = [landmark_offset(image, detector) for image in images]
        recent = deque([*self._offsets, *own], maxlen=self.num_images)
        has_seen = any(offset is not None for offset in self._offsets)
        self._judge(own, UnalignedPersonError if has_seen else ConfigError)
        self._judge(recent, ConfigError)
        self._offsets = recent

    def _judge(self, offsets: Collection[float | None], refusal: type[ConfigError]) -> None:
        found = [offset for offset in offsets if offset is not None]
        if not found:
            return
        median, largest = _median_and_largest(found)
        if median > largest:
            raise refusal(
                f"{self._name}: in {len(found)} of {len(offsets)} images that were looked at, eyes, nose and "
                f"mouth lie {median:.0f} pixels (median) from where aligned crops of 112x112 have them. "
                f"{self._step}"
            )

    def note_not_looked(self) -> None:
        """Notes in the log, once, that nothing was checked."""
        if not self._is_noted:
            _log.info(
                "%s: not checked whether these are aligned crops, as no face detector is here (get one: "
                "probefusion models pull yunet_2023mar)",
                self._name,
            )
        self._is_noted = True

    @property
    def has_looked(self) -> bool:
        """Whether there was a detector to look with."""
        return self._detector_used is not None

    @property
    def doubt(self) -> str | None:
        """What is strange about the images seen though they were not refused, or None."""
        num_seen = len(self._offsets)
        if num_seen < _LARGEST[0][0]:
            return None
        num_found = sum(offset is not None for offset in self._offsets)
        if num_found / num_seen >= _FEWEST_FACES:
            return None
        return (
            f"{self._name}: a face was found in {num_found} of {num_seen} images that were looked at; "
            f"are they aligned face crops, upright? {self._step}"
        )


def check_data_aligned(
    items: Sequence[Item],
    read: Callable[[Item], bytes | npt.NDArray[np.uint8]],
    *,
    name: str,
    input_size: int = _SIDE,
    is_trusted: bool = False,
    detector: Detector | None = None,
) -> None:
    """Refuses a data set whose images are not aligned as ArcFace's crops are; at most 64 are looked at.

    Nothing is checked without a detector that was pulled, and for embedders whose crops are not 112x112
    pixels, as those are aligned in another way; both are noted in the log. Images that cannot be read are
    passed over: they are refused or listed by whoever uses them. Images of few pixels are looked at as all
    others.

    Args:
        items: What stands for the images.
        read: Gives the bytes of an image file, or (H, W, 3) uint8 RGB.
        name: The argument that brought them, for messages.
        input_size: Side of the embedder's crops in pixels.
        is_trusted: Whether the user says that they are aligned; then nothing is looked at.
        detector: As for `AlignmentCheck`.

    Raises:
        ConfigError: If the faces lie elsewhere. Where hardly any face is found, that is noted in the log.
    """
    if is_trusted:
        return
    if input_size != _SIDE:
        _log.info(
            "%s: not checked whether these are aligned crops: that is known for embedders of %dx%d crops, this "
            "one takes %dx%d",
            *(name, _SIDE, _SIDE, input_size, input_size),
        )
        return
    check = AlignmentCheck(detector, num_images=_IMAGES_OF_DATA, name=name, step=_DATA_STEP)
    check.look_at(_readable(spread(items, _IMAGES_OF_DATA), read))
    if not check.has_looked:
        check.note_not_looked()
    elif check.doubt is not None:
        _log.warning("%s", check.doubt)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most so many of the items, spread evenly over all, in their order."""
    if len(items) <= count:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _readable(
    items: Iterable[Item], read: Callable[[Item], bytes | npt.NDArray[np.uint8]]
) -> Iterator[npt.NDArray[np.uint8]]:
    for item in items:
        try:
            image = read(item)
        except (InvalidInputError, OSError):
            continue
        pixels = decode_or_reason(image) if isinstance(image, bytes) else image
        if not isinstance(pixels, str):
            yield pixels


def _is_resized(image: npt.NDArray[np.uint8]) -> bool:
    """Whether it is taken as an aligned crop and scaled to 112x112."""
    height, width = image.shape[:2]
    return height == width != _SIDE and (height < _SIDE or height in CROP_SIZES)


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
    canvas = np.zeros((_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN, 3), np.uint8)
    canvas[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = scale_square(image, _SIDE)
    face = largest_face(detector.detect(canvas))
    if face is None:
        return None
    squares = np.sum((face.landmarks - _MARGIN - ARCFACE_LANDMARKS) ** 2, axis=1)
    return float(np.sqrt(squares.mean()))


def median_offset(
    images: Iterable[npt.NDArray[np.uint8]], detector: Detector | None = None
) -> tuple[float, float] | None:
    """How far landmarks are from their places in crops, and how far they may be, without refusing anything.

    Args:
        images: (S, S, 3) uint8 RGB each.
        detector: Finds the faces; None takes a known one that is on this machine.

    Returns:
        The median over the faces that were found and the largest that is usual for so many, both in pixels of
        a 112x112 crop; None without a detector, or if it finds no face.
    """
    detector = detector or _detector_at_hand()
    if detector is None:
        return None
    offsets = [landmark_offset(image, detector) for image in images]
    found = [offset for offset in offsets if offset is not None]
    return _median_and_largest(found) if found else None


def _median_and_largest(found: Sequence[float]) -> tuple[float, float]:
    largest = next(most for count, most in _LARGEST if len(found) >= count)
    return float(np.median(found)), largest


def _detector_at_hand() -> Detector | None:
    """A known detector that is on this machine already; one that is pulled later is found then."""
    from probefusion.zoo.detectors import resolve_detector

    for name in _DETECTORS:
        try:
            return _opened(resolve_detector(name))
        except ProbeFusionError as error:  # not pulled, or not whole: this check can do without
            _log.debug("alignment is not checked with %s: %s", name, error)
    return None


@cache
def _opened(path: Path) -> Detector:
    from probefusion.zoo.detectors import load_detector

    return load_detector(path)
