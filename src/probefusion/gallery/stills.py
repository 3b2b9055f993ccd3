"""Gallery stills: named people with a template each, and which of them a person of a video is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from probefusion.checks import check_existing
from probefusion.embedders import CropQuality, Embedder, embed_images
from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
)
from probefusion.faces import Detector, SkippedImage
from probefusion.faces.images import IMAGE_SUFFIXES
from probefusion.fusion import Fuser, MeanFuser
from probefusion.io import kind_of
from probefusion.types import EmbeddingSet, FloatArray, Template

__all__ = ["Candidate", "Match", "Stills", "read_stills", "search_stills"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stills:
    """Named templates to find people among.

    Args:
        names: (G,) names, each once.
        vectors: (G, D) float32 unit vectors by the fuser.
        mean_vectors: (G, D) float32 unit vectors by the plain mean, for comparison. Where only a
            template was given, that template.
        skipped: Files that could not be used, with reasons.
    """

    names: tuple[str, ...]
    vectors: FloatArray
    mean_vectors: FloatArray
    skipped: tuple[SkippedImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A gallery entry and how similar a person is to it."""

    name: str
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a search of the gallery gave for one person.

    Args:
        candidates: Gallery entries by falling similarity, at most ten.
        threshold: Least similarity for a match, or None where none is known.
        false_match_rate: Rate at which that threshold was calibrated, or None if it was given.
        is_match: Whether the first candidate reaches the threshold; None where there is no threshold.
    """

    candidates: tuple[Candidate, ...]
    threshold: float | None
    false_match_rate: float | None
    is_match: bool | None

    @property
    def name(self) -> str | None:
        """Name of the matched gallery entry, or None."""
        return self.candidates[0].name if self.is_match else None


def read_stills(
    paths: str | Path | Iterable[str | Path],
    embedder: Embedder,
    detector: Detector,
    fuser: Fuser,
    *,
    quality: CropQuality | None = None,
) -> Stills:
    """Reads gallery people.

    Args:
        paths: Image files (one person each, named by the file), folders (each image in one is a person,
            each folder inside is a person with all its images), `.npz` templates and embedding sets.
        embedder: The embedder of the video.
        detector: Finds the faces.
        fuser: The fuser of the video.
        quality: Judges the crops where the fuser needs it; None takes the network inside the package.

    Returns:
        The stills. Files without a usable face are listed as skipped.

    Raises:
        MissingFileError: If a path does not exist.
        ConfigError: If two people have one name.
        EmptySetError: If nobody is left.
        EmbedderMismatchError, FuserMismatchError: If a template was made by others.
    """
    if quality is None and fuser.needs_quality:
        quality = CropQuality()
    sources: list[tuple[str, Path]] = []
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    for path in (check_existing(path, name="gallery") for path in given):
        if path.is_dir():
            sources += [(item.name, item) for item in sorted(path.iterdir()) if _is_person(item)]
        else:
            sources.append((path.name, path))
    entries: dict[str, tuple[FloatArray, FloatArray]] = {}
    skipped: list[SkippedImage] = []
    for file_name, path in sources:
        name = file_name if path.is_dir() else Path(file_name).stem
        if name in entries:
            raise ConfigError(
                f"gallery: two people are named {name!r} (the second in {path}). Rename one, or put the "
                f"images of one person into one folder."
            )
        vectors = _read_person(path, embedder, detector, fuser, quality, skipped)
        if vectors is not None:
            entries[name] = vectors
    if not entries:
        reasons = "; ".join(f"{item.source}: {item.reason}" for item in skipped[:3])
        raise EmptySetError(
            f"gallery: nobody could be read{f' ({reasons})' if reasons else ''}. Give images with faces, "
            f"folders of them, or .npz templates."
        )
    return Stills(
        names=tuple(entries),
        vectors=np.stack([vectors[0] for vectors in entries.values()]),
        mean_vectors=np.stack([vectors[1] for vectors in entries.values()]),
        skipped=tuple(skipped),
    )


def search_stills(
    template: Template,
    stills: Stills,
    fuser: Fuser,
    *,
    false_match_rate: float = 1e-3,
    threshold: float | None = None,
) -> Match:
    """Searches the gallery for the person of a template.

    Args:
        template: The template of the person, by the same fuser.
        stills: The gallery.
        fuser: The fuser of both.
        false_match_rate: Rate per comparison at which the fuser's calibrated threshold is taken. A
            search of G stills makes G comparisons.
        threshold: A similarity to decide at instead, or None.
    """
    similarities = stills.vectors.astype(np.float64) @ template.vector
    order = np.argsort(-similarities, kind="stable")[:10]
    rate = None
    if threshold is None:
        found = fuser.threshold_for(false_match_rate, template.num_images)
        if found is not None:
            threshold, rate = float(found.similarity), float(found.false_match_rate)
    return Match(
        candidates=tuple(
            Candidate(name=stills.names[place], similarity=float(similarities[place]))
            for place in order
        ),
        threshold=threshold,
        false_match_rate=rate,
        is_match=None if threshold is None else bool(similarities[order[0]] >= threshold),
    )


def _is_person(path: Path) -> bool:
    if path.name.startswith(".") or path.name == "__MACOSX":
        return False
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES | {".npz"}


def _read_person(
    path: Path,
    embedder: Embedder,
    detector: Detector,
    fuser: Fuser,
    quality: CropQuality | None,
    skipped: list[SkippedImage],
) -> tuple[FloatArray, FloatArray] | None:
    """Vectors by the fuser and by the plain mean, or None where no image can be used."""
    if path.is_file() and path.suffix.lower() == ".npz":
        if kind_of(path) == "template":
            return _template_vectors(Template.load(path), path, embedder, fuser)
        images = EmbeddingSet.load(path)
    else:
        try:
            report = embed_images(path, embedder, detector=detector, quality=quality)
        except EmptySetError as error:
            skipped.append(SkippedImage(source=path.as_posix(), reason=str(error)))
            return None
        skipped.extend(report.skipped)
        images = report.embedding_set
    return fuser.fuse(images).vector, MeanFuser().fuse(images).vector


def _template_vectors(
    template: Template, path: Path, embedder: Embedder, fuser: Fuser
) -> tuple[FloatArray, FloatArray]:
    if template.embedder not in (None, embedder.fingerprint):
        raise EmbedderMismatchError(
            f"{path}: template of the embedder {template.embedder}, expected {embedder.fingerprint}. "
            f"Make it with the embedder of the video."
        )
    if template.fuser not in (None, fuser.fingerprint):
        raise FuserMismatchError(
            f"{path}: template of the fuser {template.fuser}, expected {fuser.fingerprint}. Make it "
            f"with the fuser of the video."
        )
    return template.vector, template.vector
