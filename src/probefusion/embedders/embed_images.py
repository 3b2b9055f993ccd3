"""From photos or aligned crops of one person to an embedding set, with every omission listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders.crop_batches import embed_crops
from probefusion.embedders.embedder import Embedder
from probefusion.embedders.quality import CropQuality
from probefusion.errors import ConfigError, EmptySetError
from probefusion.faces.cropping import FaceFacts, crop_largest_face
from probefusion.faces.face import Detector
from probefusion.faces.images import (
    ImageSource,
    SkippedImage,
    fit_crop,
    list_images,
    read_images,
)
from probefusion.types import EmbeddingSet
from probefusion.workers import available_threads

__all__ = ["EmbeddingReport", "embed_images", "report_of"]

_CROPS_AT_ONCE = 128
_CROPS_AHEAD = 256
"""Crops decoded while others are embedded."""

_PHOTOS_AHEAD = 3
"""The same for photos, which are large."""

_REASONS_SHOWN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingReport:
    """What became of a number of images.

    Args:
        embedding_set: The images that could be used, with their sources.
        skipped: The images that could not, with reasons.
        num_faces: (N,) integers, faces found in each used image (the largest was taken), or None if
            the images were aligned crops.
        faces: N entries, what is to be known of the face that was taken from each used image; () if the
            images were aligned crops. See `probefusion.faces.notes_on_faces`.
    """

    embedding_set: EmbeddingSet
    skipped: tuple[SkippedImage, ...] = ()
    num_faces: npt.NDArray[np.int64] | None = None
    faces: tuple[FaceFacts, ...] = ()


def embed_images(
    paths: str | Path | ImageSource | Iterable[str | Path | ImageSource],
    embedder: Embedder,
    *,
    detector: Detector | None = None,
    aligned: bool = False,
    quality: CropQuality | None = None,
    num_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    keep_chips: bool = False,
) -> EmbeddingReport:
    """Embeds all images of one person.

    Images are read, aligned and embedded in batches of 128, so memory does not grow with their
    number but for the embeddings; while a batch is embedded the next one is decoded. In a photo
    with several faces the largest is taken; a face in a turned photo is put upright. What is to be known of
    each face is in `EmbeddingReport.faces`, and the detector's scores are in the set.

    Args:
        paths: Images, folders and zip archives, see `list_images`. A file that lies in a folder under several names,
            by links, counts once; a path that is given twice counts twice.
        embedder: The embedder.
        detector: Finds the faces in photos.
        aligned: Whether the images are aligned crops already, of the embedder's size, of 112 pixels, a size
            in `CROP_SIZES` or fewer pixels (which are scaled). Others are skipped.
        quality: Judges each crop for the universal fuser; None leaves the set without quality.
        num_threads: Threads that decode images while others are embedded; None for one per core.
        progress: Called with the number of images done and in all.
        keep_chips: Whether the set carries small pictures of the faces (`EmbeddingSet.chips`).

    Returns:
        The set, and which images were skipped for which reason.

    Raises:
        ConfigError: Unless exactly one of `detector` and `aligned` is given.
        MissingFileError: If a path does not exist.
        FileFormatError: If a `.zip` file is no zip archive.
        EmptySetError: If no image could be used; names the first reasons.
        MissingExtraError: If OpenCV is not installed.
    """
    if (detector is None) == (not aligned):
        raise ConfigError(
            "detector, aligned: expected a detector (for photos) or aligned=True (for aligned "
            f"square face crops), got {'neither' if detector is None else 'both'}."
        )
    sources, skipped = list_images(paths, each_once=True)
    collected = _Collector(embedder, quality, keep_chips=keep_chips)
    size = embedder.spec.input_size
    images = read_images(
        sources,
        num_threads=num_threads or available_threads(),
        ahead=_CROPS_AHEAD if aligned else _PHOTOS_AHEAD,
        fit=(lambda image: fit_crop(image, size)) if aligned else None,
    )
    for done, (source, image) in enumerate(images, start=1):
        if isinstance(image, SkippedImage):
            collected.skipped.append(image)
        elif detector is None:
            collected.add(source.name, image, None)
        else:
            collected.find(source.name, image, detector)
        if progress is not None:
            progress(done, len(sources))
    collected.flush()
    skipped += collected.skipped
    if not collected.parts:
        raise EmptySetError(_why_empty(skipped, len(sources)))
    images_of_all = EmbeddingSet.concatenate(collected.parts)
    return report_of(images_of_all, skipped, () if aligned else collected.faces)


def report_of(
    images: EmbeddingSet, skipped: Iterable[SkippedImage], faces: Sequence[FaceFacts]
) -> EmbeddingReport:
    """A report on images, with the detector's scores in the set.

    Args:
        images: N images.
        skipped: What could not be used.
        faces: What is to be known of the N faces; none for aligned crops.
    """
    if not faces:
        return EmbeddingReport(embedding_set=images, skipped=tuple(skipped))
    scores = np.array([face.detector_score for face in faces], np.float32)
    return EmbeddingReport(
        embedding_set=replace(images, detector_scores=scores),
        skipped=tuple(skipped),
        num_faces=np.array([face.num_faces for face in faces], np.int64),
        faces=tuple(faces),
    )


class _Collector:
    """Gathers crops into batches, embeds them, and keeps what is usable."""

    def __init__(
        self, embedder: Embedder, quality: CropQuality | None, *, keep_chips: bool
    ) -> None:
        self._keep_chips = keep_chips
        self._embedder = embedder
        self._quality = quality
        self._waiting: list[tuple[str, npt.NDArray[np.uint8], FaceFacts | None]] = []
        self.parts: list[EmbeddingSet] = []
        self.faces: list[FaceFacts] = []
        self.skipped: list[SkippedImage] = []

    def add(self, source: str, crop: npt.NDArray[np.uint8], face: FaceFacts | None) -> None:
        """Takes one crop; embeds once enough are together."""
        self._waiting.append((source, crop, face))
        if len(self._waiting) >= _CROPS_AT_ONCE:
            self.flush()

    def find(self, source: str, photo: npt.NDArray[np.uint8], detector: Detector) -> None:
        """Takes the largest face of a photo, or notes why there is none."""
        size = self._embedder.spec.input_size
        found = crop_largest_face(photo, detector, size=size, source=source)
        if isinstance(found, str):
            self.skipped.append(SkippedImage(source=source, reason=found))
        else:
            self.add(source, found.crop, found.facts)

    def flush(self) -> None:
        """Embeds what is waiting."""
        sources = [source for source, _, _ in self._waiting]
        crops = [crop for _, crop, _ in self._waiting]
        embedded = embed_crops(
            crops,
            self._embedder,
            quality=self._quality,
            sources=sources,
            keep_chips=self._keep_chips,
        )
        if embedded.images is not None:
            self.parts.append(embedded.images)
        for (source, _, face), reason in zip(self._waiting, embedded.reasons, strict=True):
            if reason is not None:
                self.skipped.append(SkippedImage(source=source, reason=reason))
            elif face is not None:
                self.faces.append(face)
        self._waiting.clear()


def _why_empty(skipped: list[SkippedImage], num_sources: int) -> str:
    if not skipped:
        return (
            "paths: found no image. In folders and archives files are taken for images by their ending "
            "(.jpg, .png, ...) or their first bytes; notes and tables beside them are passed over."
        )
    reasons = "; ".join(str(item) for item in skipped[:_REASONS_SHOWN])
    more = len(skipped) - _REASONS_SHOWN
    return (
        f"paths: none of {max(num_sources, len(skipped))} images could be used: {reasons}"
        f"{f'; and {more} more' if more > 0 else ''}."
    )
