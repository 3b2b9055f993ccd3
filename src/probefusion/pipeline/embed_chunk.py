"""What a worker does with a chunk of an archive's images: decode, find the face, align, embed, write."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.engines.engine import Work
from probefusion.archives.files.storage import exists
from probefusion.archives.images import (
    SINGLE,
    ArchiveImage,
    Chunk,
    ChunkFacts,
    ImageReader,
    Making,
    chunk_place,
    read_facts,
    write_chunk,
)
from probefusion.archives.rows.ids import LONGEST_ID
from probefusion.embedders import CropQuality
from probefusion.embedders.crop_batches import embed_crops
from probefusion.embedders.embed_images import report_of
from probefusion.errors import EmbedderMismatchError
from probefusion.extras import import_cv2
from probefusion.faces import CroppedFace, FaceFacts, SkippedImage, crop_largest_face
from probefusion.faces.decoding import decode_or_reason
from probefusion.faces.images import fit_crop
from probefusion.faces.notes import LOW_SCORE, TINY_FACE
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.faces import Detector

__all__ = ["ChunkModels", "EmbedChunks", "making_rows", "open_models"]

_CROPS_AT_ONCE = {"cpu": 8, "cuda": 128}
"""Crops embedded together: on one core eight stay in its cache, and small networks run a fifth faster than with 32."""
_EXAMPLES = 3

_DOUBTS: dict[str, Callable[[FaceFacts], bool]] = {
    "turned": lambda face: face.turned != 0,
    "several faces": lambda face: face.num_alike > 1,
    "unsure": lambda face: face.detector_score < LOW_SCORE,
    "tiny": lambda face: face.face_px < TINY_FACE,
    "cut off": lambda face: face.is_cut_off,
}
"""What makes a face doubtful, as `notes_on_faces` tells of photos."""

Part = tuple[list[ArchiveImage], EmbeddingSet]


@dataclass(frozen=True, kw_only=True)
class ChunkModels:
    """The models of a worker, as they travel to it.

    Args:
        embedder: Name, file, or an embedder.
        detector: Name, file, or a detector; None where images are aligned crops.
        judges: Whether crops are judged.
        preprocessing: As for `Pipeline`.
        norm_output: As for `Pipeline`.
        device: As for `Pipeline`.
    """

    embedder: str | Embedder
    detector: str | Detector | None
    judges: bool
    preprocessing: str | None
    norm_output: str | None
    device: str


def open_models(models: ChunkModels) -> tuple[Embedder, Detector | None, CropQuality | None]:
    """Loads the models, each to run in one thread.

    Raises:
        ProbeFusionError: As for `load_embedder` and `load_detector`.
    """
    from probefusion.pipeline.chosen_embedder import open_embedder
    from probefusion.zoo import load_detector

    embedder = open_embedder(
        models.embedder,
        preprocessing=models.preprocessing,
        norm_output=models.norm_output,
        num_threads=1,
        device=models.device,
    )
    detector = models.detector
    if isinstance(detector, str | os.PathLike):
        detector = load_detector(os.fspath(detector))
    quality = CropQuality(num_threads=1, device=models.device) if models.judges else None
    return embedder, detector, quality


@dataclass(frozen=True, kw_only=True)
class EmbedChunks(Work["tuple[int, Chunk]", ChunkFacts]):
    """Embeds chunks and writes a file for each.

    Args:
        models: What with.
        making: What the rows must be of.
        output: Folder or url of the files.
    """

    models: ChunkModels
    making: Making
    output: str

    def open(self) -> Callable[[tuple[int, Chunk]], ChunkFacts]:
        """Loads the models.

        Raises:
            EmbedderMismatchError: If a worker has another model under the name.
            ProbeFusionError: As for `open_models`.
        """
        embedder, detector, quality = open_models(self.models)
        for what, found, expected in (
            ("embedder", embedder.own_fingerprint, self.making.model),
            ("detector", _fingerprint(detector), self.making.detector),
        ):
            if found != expected:
                raise EmbedderMismatchError(
                    f"--{what}: a worker has {found} under this name, expected {expected}. Give every machine the "
                    f"same file."
                )
        reader = ImageReader(self.making.source)

        def do(task: tuple[int, Chunk]) -> ChunkFacts:
            number, chunk = task
            place = chunk_place(self.output, number)
            if exists(place) and (before := read_facts(place)).tag == chunk.tag:
                return before  # done by a worker that died before it could say so
            at_once = _CROPS_AT_ONCE[self.models.device]
            with _one_thread():
                embedding = _Embedding(embedder, detector, quality, at_once=at_once)
                embedding.take_all(reader.read(chunk))
            facts = replace(embedding.facts(), number=number, tag=chunk.tag)
            names = chunk.names if chunk.kind in SINGLE else ()
            rows, parts = self.making.rows, embedding.parts
            write_chunk(place, rows, parts, facts, names=names, marks=chunk.marks)
            return facts

        return do


def _fingerprint(detector: object) -> str:
    """A detector's fingerprint; its class where it has none, and "" for no detector."""
    if detector is None:
        return ""
    return str(getattr(detector, "fingerprint", type(detector).__qualname__))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps OpenCV to one thread: other workers use the other cores."""
    cv2 = import_cv2("reading images")
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _Embedding:
    """Gathers the crops of a chunk into batches, and what is to be told of its images."""

    def __init__(
        self,
        embedder: Embedder,
        detector: Detector | None,
        quality: CropQuality | None,
        *,
        at_once: int,
    ) -> None:
        self._embedder, self._detector, self._quality = embedder, detector, quality
        self._at_once = at_once
        self._waiting: list[tuple[ArchiveImage, npt.NDArray[np.uint8], FaceFacts | None]] = []
        self._skipped: list[SkippedImage] = []
        self._doubtful: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self.parts: list[Part] = []

    def take_all(self, images: Iterator[ArchiveImage | SkippedImage]) -> None:
        """Takes all images of the chunk."""
        for image in images:
            if isinstance(image, SkippedImage):
                self._skipped.append(image)
                continue
            cropped = self._crop(image)
            if isinstance(cropped, str):
                self._skipped.append(SkippedImage(source=image.source, reason=cropped))
                continue
            bare = replace(image, data=b"")  # what waits holds the crop only
            self._waiting.append((bare, *cropped))
            if len(self._waiting) >= self._at_once:
                self._flush()
        self._flush()

    def facts(self) -> ChunkFacts:
        """What became of the images."""
        return ChunkFacts(
            number=0,
            num_rows=sum(len(images) for images, _ in self.parts),
            skipped=tuple(self._skipped),
            doubtful=dict(sorted(self._doubtful.items())),
            examples=dict(sorted(self._examples.items())),
        )

    def _crop(self, image: ArchiveImage) -> tuple[npt.NDArray[np.uint8], FaceFacts | None] | str:
        person = image.subject_id
        if len(person) > LONGEST_ID or "\0" in person:
            return (
                f"whose is it? Expected the name of a person, at most {LONGEST_ID} characters and no zero character, "
                f"got {len(person):,} characters"
            )
        pixels = decode_or_reason(image.data) if isinstance(image.data, bytes) else image.data
        if isinstance(pixels, str):
            return pixels
        size = self._embedder.spec.input_size
        if self._detector is None:
            crop = fit_crop(pixels, size)
            return crop if isinstance(crop, str) else (crop, None)
        found = crop_largest_face(pixels, self._detector, size=size, source=image.source)
        return (found.crop, found.facts) if isinstance(found, CroppedFace) else found

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        embedded = embed_crops(
            [crop for _, crop, _ in waiting], self._embedder, quality=self._quality
        )
        used: list[ArchiveImage] = []
        faces: list[FaceFacts] = []
        for (image, _, face), reason in zip(waiting, embedded.reasons, strict=True):
            if reason is not None:
                self._skipped.append(SkippedImage(source=image.source, reason=reason))
                continue
            used.append(image)
            if face is not None:
                faces.append(face)
                self._note(face)
        if embedded.images is not None:
            self.parts.append((used, report_of(embedded.images, (), faces).embedding_set))

    def _note(self, face: FaceFacts) -> None:
        for kind, is_so in _DOUBTS.items():
            if is_so(face):
                self._doubtful[kind] += 1
                examples = self._examples.setdefault(kind, [])
                if len(examples) < _EXAMPLES:
                    examples.append(face.source)


def making_rows(
    models: ChunkModels, opened: tuple[Embedder, Detector | None, CropQuality | None]
) -> dict[str, Any]:
    """What the models say of the rows that they make, as arguments of `Making` and `RowFormat`."""
    embedder, detector, quality = opened
    size = embedder.spec.input_size
    _, style = embedder.embed(np.full((1, size, size, 3), 127, np.uint8))
    return {
        "rows": {
            "embedder": embedder.fingerprint,
            "dim": embedder.spec.dim,
            "style_channels": 0 if style is None else int(style.shape[1]),
            "has_quality": models.judges,
            "has_scores": detector is not None,
            "norms_known": embedder.norms_known,
        },
        "model": embedder.own_fingerprint,
        "detector": _fingerprint(detector),
        "quality": "" if quality is None else quality.fingerprint,
    }
