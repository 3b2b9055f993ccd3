"""From a photo to the aligned crops of its faces, with what is to be known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.faces.align import ARCFACE_LANDMARKS, align_face, similarity_transform
from probefusion.faces.face import Detector, Face, largest_face

__all__ = [
    "ABOUT_ONE_SIZE",
    "CroppedFace",
    "FaceFacts",
    "crop_face",
    "crop_faces",
    "crop_largest_face",
]

ABOUT_ONE_SIZE = 0.5
"""Faces of at least this part of the largest one's area are of about its size."""

_MOST_OUTSIDE = 0.1
"""A face is cut off if more than this part of its box's width or height, or of its area, lies outside the photo."""

_AREA = np.stack(np.meshgrid(np.linspace(26, 86, 13), np.linspace(34, 108, 13)), axis=-1).reshape(
    -1, 2
)
"""(169, 2) places in a crop of 112x112 that cover a face from above the brows to the chin."""


@dataclass(frozen=True, kw_only=True)
class FaceFacts:
    """What is to be known of the face that was taken from a photo.

    Args:
        source: Name of the photo, "" where it has none.
        detector_score: How sure the detector is, 0 to 1.
        num_faces: Faces that the photo shows.
        num_alike: Those of about the size of the largest: at least half its area.
        turned: By how many degrees the face is turned counter-clockwise: 0, 90, 180 or 270. The crop is upright.
        face_px: Shorter side of its box in pixels.
        is_cut_off: Whether more than a tenth lies outside the photo: of its box, or of the face by its landmarks, as
            detectors draw boxes within the photo.
        is_common: Whether it was taken for being common to all photos of a person, not for being the largest.
    """

    source: str = ""
    detector_score: float
    num_faces: int
    num_alike: int
    turned: int
    face_px: float
    is_cut_off: bool
    is_common: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CroppedFace:
    """A face of a photo, aligned.

    Args:
        face: Where it is.
        crop: (S, S, 3) uint8 RGB.
        facts: What is to be known of it.
    """

    face: Face
    crop: npt.NDArray[np.uint8]
    facts: FaceFacts


def crop_faces(
    image: npt.NDArray[np.uint8], detector: Detector, *, size: int, source: str = ""
) -> tuple[list[CroppedFace], list[str]]:
    """All faces of a photo that can be aligned, by one search, and why others cannot.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: Finds the faces.
        size: Side of the crops in pixels.
        source: Name of the photo.

    Returns:
        The faces in the detector's order, the largest first, and a reason for each of the others.
    """
    cropped, reasons = [], []
    faces = detector.detect(image)
    for face in faces:
        try:
            cropped.append(crop_face(image, face, faces, size=size, source=source))
        except InvalidInputError as error:
            reasons.append(f"a face cannot be aligned ({error})")
    return cropped, reasons


def crop_largest_face(
    image: npt.NDArray[np.uint8], detector: Detector, *, size: int, source: str = ""
) -> CroppedFace | str:
    """The largest face of a photo, aligned, or why there is none.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: Finds the faces.
        size: Side of the crop in pixels.
        source: Name of the photo.
    """
    faces = detector.detect(image)
    face = largest_face(faces)
    if face is None:
        return "no face found"
    try:
        return crop_face(image, face, faces, size=size, source=source)
    except InvalidInputError as error:
        return f"the face cannot be aligned ({error})"


def crop_face(
    image: npt.NDArray[np.uint8], face: Face, faces: Sequence[Face], *, size: int, source: str = ""
) -> CroppedFace:
    """One of the faces that were found in a photo, aligned.

    Args:
        image: (H, W, 3) uint8 RGB.
        face: The face.
        faces: All that were found, this one too.
        size: Side of the crop in pixels.
        source: Name of the photo.

    Raises:
        InvalidInputError: If its landmarks are no face's, as `align_face` says.
    """
    crop = align_face(image, face.landmarks, size=size)
    return CroppedFace(
        face=face, crop=crop, facts=_facts(face, faces, image.shape[:2], source=source)
    )


def _facts(face: Face, faces: Sequence[Face], shape: tuple[int, ...], *, source: str) -> FaceFacts:
    height, width = shape
    size = np.maximum(face.box[2:], 1e-6)
    outside = np.maximum(-face.box[:2], 0) + np.maximum(
        face.box[:2] + face.box[2:] - [width, height], 0
    )
    largest = max(other.area for other in faces)
    return FaceFacts(
        source=source,
        detector_score=float(face.score),
        num_faces=len(faces),
        num_alike=sum(other.area >= ABOUT_ONE_SIZE * largest for other in faces),
        turned=face.turned,
        face_px=float(face.box[2:].min()),
        is_cut_off=bool((outside / size > _MOST_OUTSIDE).any())
        or _area_outside(face, shape) > _MOST_OUTSIDE,
    )


def _area_outside(face: Face, shape: tuple[int, ...]) -> float:
    """The part of the face, from brows to chin, that lies outside the photo by its landmarks."""
    places = (
        similarity_transform(ARCFACE_LANDMARKS, face.landmarks)
        @ np.column_stack([_AREA, np.ones(len(_AREA))]).T
    )
    height, width = shape
    return float(((places < 0) | (places > [[width - 1], [height - 1]])).any(axis=0).mean())
