"""Images in memory: the faces of a photo, and crops to embedding sets."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, Embedder, EmbeddingReport
from probefusion.embedders.crop_batches import embed_crops
from probefusion.errors import (
    DtypeError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    ShapeError,
)
from probefusion.faces import (
    Detector,
    Face,
    ImageSource,
    SkippedImage,
    align_face,
    read_images,
)
from probefusion.faces.detect import crop_largest_face
from probefusion.faces.images import fit_crop
from probefusion.files import check_existing
from probefusion.files.reading import in_one_line
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.results import FoundFace
from probefusion.types import EmbeddingSet

__all__ = [
    "Photo",
    "embed_crops",
    "embed_pictures",
    "find_crops",
    "find_faces",
    "read_photo",
]

_log = logging.getLogger("probefusion")

_REASONS_SHOWN = 3

Image = npt.NDArray[np.uint8]

Photo: TypeAlias = str | os.PathLike[str] | Image
"""A file, or (H, W, 3) uint8 RGB."""


def read_photo(photo: Photo) -> tuple[str, Image]:
    """Name and pixels, (H, W, 3) uint8 RGB, of a photo.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no image that can be read.
        DtypeError, ShapeError: If the array is no image.
    """
    if isinstance(photo, str | os.PathLike):
        path = check_existing(os.fspath(photo), name="photo")
        ((source, image),) = read_images([ImageSource(path=path)])
        if isinstance(image, SkippedImage):
            raise FileFormatError(f"{in_one_line(path)}: expected a photo: {image.reason}.")
        return source.name, image
    pixels = np.asarray(photo)
    if pixels.dtype != np.uint8:
        raise DtypeError(f"photo: expected uint8 pixels 0 to 255 in RGB order, got {pixels.dtype}.")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ShapeError(f"photo: expected (H, W, 3) with pixels, got {pixels.shape}.")
    return "image", pixels


def find_crops(
    image: Image, detector: Detector, *, size: int
) -> tuple[list[Face], list[Image], list[str]]:
    """All faces of a photo that can be aligned, their crops, and why others cannot.

    Args:
        image: (H, W, 3) uint8 RGB.
        detector: Finds the faces.
        size: Side of the crops in pixels.
    """
    faces, crops, reasons = [], [], []
    for face in detector.detect(image):
        try:
            crops.append(align_face(image, face.landmarks, size=size))
        except InvalidInputError as error:
            reasons.append(f"a face cannot be aligned ({error})")
        else:
            faces.append(face)
    return faces, crops, reasons


def embed_pictures(
    pictures: Sequence[tuple[str, Image]],
    embedder: Embedder,
    detector: Detector | None,
    quality: CropQuality | None,
) -> EmbeddingReport:
    """The embeddings of images that are in memory, as `embed_images` gives those of files.

    Args:
        pictures: Names and pixels, (H, W, 3) uint8 RGB, at least one: photos, or with no detector crops.
        embedder: The embedder.
        detector: Finds the faces in photos, or None.
        quality: Judges the crops, or None.

    Raises:
        EmptySetError: If no image could be used.
    """
    names, crops, num_faces, skipped = [], [], [], []
    for name, pixels in pictures:
        cropped = _crop(pixels, detector, embedder.spec.input_size)
        if isinstance(cropped, str):
            skipped.append(SkippedImage(source=name, reason=cropped))
            continue
        names.append(name)
        crops.append(cropped[0])
        num_faces.append(cropped[1])
    embedded = embed_crops(crops, embedder, quality=quality, sources=names)
    skipped += [
        SkippedImage(source=name, reason=reason)
        for name, reason in zip(names, embedded.reasons, strict=True)
        if reason is not None
    ]
    if embedded.images is None:
        reasons = "; ".join(str(item) for item in skipped[:_REASONS_SHOWN])
        raise EmptySetError(f"inputs: none of {len(pictures)} images could be used: {reasons}.")
    counts = np.asarray(num_faces, np.int64)[embedded.is_usable]
    return EmbeddingReport(
        embedding_set=embedded.images,
        skipped=tuple(skipped),
        num_faces=None if detector is None else counts,
    )


def _crop(image: Image, detector: Detector | None, size: int) -> tuple[Image, int] | str:
    if detector is not None:
        return crop_largest_face(image, detector, size=size)
    crop = fit_crop(image, size)
    return crop if isinstance(crop, str) else (crop, 1)


def find_faces(models: Models, photo: Photo) -> list[FoundFace]:
    """Does what `Pipeline.find` promises, with these models."""
    detector = models.detector
    source, image = read_photo(photo)
    embedder = models.embedder
    faces, crops, problems = find_crops(image, detector, size=embedder.spec.input_size)
    embedded = embed_crops(
        crops, embedder, quality=models.judge(kept=True), sources=[source] * len(crops)
    )
    problems += [reason for reason in embedded.reasons if reason is not None]
    for problem in problems:
        _log.warning("%s: left out: %s", source, problem)
    if embedded.images is None:
        return []
    kept = [face for face, is_usable in zip(faces, embedded.is_usable, strict=True) if is_usable]
    return _as_found(models, source, kept, embedded.images)


def _as_found(
    models: Models, source: str, faces: Sequence[Face], images: EmbeddingSet
) -> list[FoundFace]:
    fuser = models.choose_fuser([images])
    return [
        FoundFace(
            source=source,
            box=face.box,
            score=face.score,
            landmarks=face.landmarks,
            images=images[row : row + 1],
            template=fuser.fuse(images[row : row + 1]),
        )
        for row, face in enumerate(faces)
    ]
