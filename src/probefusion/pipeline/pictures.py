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
from probefusion.embedders.embed_images import report_of
from probefusion.errors import (
    DtypeError,
    EmptySetError,
    FileFormatError,
    ShapeError,
)
from probefusion.faces import (
    Detector,
    ImageSource,
    SkippedImage,
    read_images,
)
from probefusion.faces.cropping import CroppedFace, FaceFacts, crop_faces, crop_largest_face
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


def embed_pictures(
    pictures: Sequence[tuple[str, Image]],
    embedder: Embedder,
    detector: Detector | None,
    quality: CropQuality | None,
    *,
    keep_chips: bool = False,
) -> EmbeddingReport:
    """The embeddings of images that are in memory, as `embed_images` gives those of files.

    Args:
        pictures: Names and pixels, (H, W, 3) uint8 RGB, at least one: photos, or with no detector crops.
        embedder: The embedder.
        detector: Finds the faces in photos, or None.
        quality: Judges the crops, or None.
        keep_chips: Whether the set carries small pictures of the faces.

    Raises:
        EmptySetError: If no image could be used.
    """
    names, crops, skipped = [], [], []
    facts: list[FaceFacts] = []
    for name, pixels in pictures:
        cropped = _crop(name, pixels, detector, embedder.spec.input_size)
        if isinstance(cropped, str):
            skipped.append(SkippedImage(source=name, reason=cropped))
            continue
        names.append(name)
        crops.append(cropped.crop if isinstance(cropped, CroppedFace) else cropped)
        facts += [cropped.facts] if isinstance(cropped, CroppedFace) else []
    embedded = embed_crops(crops, embedder, quality=quality, sources=names, keep_chips=keep_chips)
    skipped += [
        SkippedImage(source=name, reason=reason)
        for name, reason in zip(names, embedded.reasons, strict=True)
        if reason is not None
    ]
    if embedded.images is None:
        reasons = "; ".join(str(item) for item in skipped[:_REASONS_SHOWN])
        raise EmptySetError(f"inputs: none of {len(pictures)} images could be used: {reasons}.")
    used = [face for face, is_used in zip(facts, embedded.is_usable, strict=False) if is_used]
    return report_of(embedded.images, skipped, used)


def _crop(
    name: str, image: Image, detector: Detector | None, size: int
) -> CroppedFace | Image | str:
    if detector is not None:
        return crop_largest_face(image, detector, size=size, source=name)
    return fit_crop(image, size)


def find_faces(models: Models, photo: Photo) -> list[FoundFace]:
    """Does what `Pipeline.find` promises, with these models."""
    detector = models.detector
    source, image = read_photo(photo)
    embedder = models.embedder
    found, problems = crop_faces(image, detector, size=embedder.spec.input_size, source=source)
    embedded = embed_crops(
        [face.crop for face in found],
        embedder,
        quality=models.judge(kept=True),
        sources=[source] * len(found),
        keep_chips=models.keep_chips,
    )
    problems += [reason for reason in embedded.reasons if reason is not None]
    for problem in problems:
        _log.warning("%s: left out: %s", source, problem)
    if embedded.images is None:
        return []
    kept = [face for face, is_usable in zip(found, embedded.is_usable, strict=True) if is_usable]
    images = report_of(embedded.images, (), [face.facts for face in kept]).embedding_set
    return _as_found(models, kept, images)


def _as_found(
    models: Models, faces: Sequence[CroppedFace], images: EmbeddingSet
) -> list[FoundFace]:
    fuser = models.choose_fuser([images])
    return [
        FoundFace(
            source=found.facts.source,
            box=found.face.box,
            score=found.face.score,
            landmarks=found.face.landmarks,
            turned=found.facts.turned,
            images=images[row : row + 1],
            template=fuser.fuse(images[row : row + 1]),
        )
        for row, found in enumerate(faces)
    ]
