"""Gallery stills: named people with a template each, and which of them a person of a video is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from probefusion.embedders import CropQuality, Embedder, embed_images
from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    ShapeError,
)
from probefusion.faces import Detector, SkippedImage, notes_on_faces
from probefusion.faces.listing import is_hidden, judge_file, read_head
from probefusion.files import check_existing
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser, MeanFuser
from probefusion.gallery.results import SearchResult
from probefusion.io import kind_of
from probefusion.screening.poor_faces import told_of_poor
from probefusion.types import EmbeddingSet, FloatArray, Template, TemplateSet
from probefusion.types.revisions import remedy
from probefusion.zoo import judge_template

__all__ = ["Candidate", "Match", "Stills", "read_stills", "search_stills"]

_log = logging.getLogger("probefusion")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stills:
    """Named templates to find people among.

    Args:
        names: (G,) names, each once.
        vectors: (G, D) float32 unit vectors by the fuser.
        mean_vectors: (G, D) float32 unit vectors by the plain mean, for comparison. Where only a
            template was given, that template.
        skipped: Files that could not be used, with reasons.
        warnings: What there is to warn of, in words, with the person: images of somebody else, templates that are
            not usable.
    """

    names: tuple[str, ...]
    vectors: FloatArray
    mean_vectors: FloatArray
    skipped: tuple[SkippedImage, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What was skipped and what there is to warn of, as for the problems of a `Clip`."""
        told = (*map(str, self.skipped), *self.warnings)
        return tuple(f"gallery: {item}".rstrip(".") for item in told)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A gallery entry and how similar a person is to it."""

    name: str
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a search of the gallery gave for one person.

    Args:
        candidates: Gallery entries by falling similarity, at most ten; none if nobody is in a `Gallery`.
        threshold: Least similarity for a match with `best`, or None where none is known.
        false_match_rate: Rate at which that threshold was calibrated, or None if it was given.
        is_match: Whether `best` reaches the threshold; None where there is no threshold.
        place: Place of `best` among the candidates. Thresholds of a `Gallery` differ from person to person: it
            is the first who reaches the own one, else the first of all.
        result: What the `Gallery` answered: each candidate's threshold, who is ignored, why there is none;
            None for stills.
        warnings: That the person of the video, or the match, is not usable, or poorer than what the threshold was
            verified for, or that this is not known.
    """

    candidates: tuple[Candidate, ...]
    threshold: float | None
    false_match_rate: float | None
    is_match: bool | None
    place: int = 0
    result: SearchResult | None = None
    warnings: tuple[str, ...] = ()

    @property
    def best(self) -> Candidate | None:
        """Whom threshold and `is_match` are about, or None if there are no candidates."""
        return self.candidates[self.place] if self.candidates else None

    @property
    def name(self) -> str | None:
        """Name of the matched gallery entry, or None."""
        return self.best.name if self.is_match and self.best is not None else None

    @property
    def similarity(self) -> float | None:
        """Similarity of `best`, or None if there are no candidates."""
        return None if self.best is None else self.best.similarity

    def __str__(self) -> str:
        """The most similar entry in a few words, as `lin 0.670 (match)`."""
        if self.best is None:
            return "nobody (the gallery is empty)"
        word = {None: "", True: " (match)", False: " (no match)"}[self.is_match]
        return f"{self.best.name} {self.best.similarity:.3f}{word}"


def read_stills(
    paths: str | Path | Iterable[str | Path],
    embedder: Embedder,
    detector: Detector,
    fuser: Fuser,
    *,
    quality: CropQuality | None = None,
    read_person: Callable[[str, Path | EmbeddingSet], EmbeddingSet] | None = None,
) -> Stills:
    """Reads gallery people.

    Args:
        paths: Image files (one person each, named by the file), folders (each image in one is a person,
            each folder inside is a person with all its images), `.npz` templates and embedding sets, `.npz`
            and `.parquet` template sets (a person each, named by id).
        embedder: The embedder of the video.
        detector: Finds the faces.
        fuser: The fuser of the video.
        quality: Judges the crops where the fuser needs it; None takes the network inside the package.
        read_person: Called with a name, and the path of images or an embedding set of that person; gives what is
            fused, and notes itself what it left out. None takes the largest face of every image, and all of a set.

    Returns:
        The stills. Files without a usable face, and files in folders that are no images, are listed as
        skipped; notes and hidden files are passed over (see `list_images`). Files that do not say what made
        their embeddings are taken, and noted in the log.

    Raises:
        MissingFileError: If a path does not exist.
        ConfigError: If two people have one name.
        EmptySetError: If nobody is left.
        EmbedderMismatchError, FuserMismatchError: If a template or set was made by others.
        ShapeError: If one has another dimension than the others.
    """
    if quality is None and fuser.needs_quality:
        quality = CropQuality()
    sources: list[tuple[str, Path]] = []
    skipped: list[SkippedImage] = []
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    for path in (check_existing(path, name="gallery") for path in given):
        if path.is_dir():
            inside = sorted(path.iterdir())
            sources += [(item.name, item) for item in inside if _is_person(item, skipped)]
        else:
            sources.append((path.name, path))
    models = _Models(
        embedder=embedder, detector=detector, fuser=fuser, quality=quality, read_person=read_person
    )
    entries: dict[str, _Vectors] = {}
    unstated: list[Path] = []
    poor: list[str] = []
    for file_name, path in sources:
        for name, vectors in _read(file_name, path, models, skipped, unstated, poor):
            if name in entries:
                raise ConfigError(
                    f"gallery: two people are named {name!r} (the second in {in_one_line(path)}). Rename one, or put "
                    f"the images of one person into one folder."
                )
            dim = len(next(iter(entries.values()), vectors)[0])
            if len(vectors[0]) != dim:
                raise ShapeError(
                    f"{in_one_line(path)}: expected dimension {dim} as of the people before, got {len(vectors[0])}. "
                    f"Make all with the embedder of the video."
                )
            entries[name] = vectors
    if not entries:
        reasons = "; ".join(str(item) for item in skipped[:3])
        raise EmptySetError(
            f"gallery: nobody could be read{f' ({reasons})' if reasons else ''}. Give images with faces, "
            f"folders of them, or templates."
        )
    if unstated:
        _note_unstated(unstated, embedder.fingerprint)
    return Stills(
        names=tuple(entries),
        vectors=np.stack([vectors[0] for vectors in entries.values()]),
        mean_vectors=np.stack([vectors[1] for vectors in entries.values()]),
        skipped=tuple(skipped),
        warnings=tuple(poor),
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
    usability = judge_template(template)
    return Match(
        candidates=tuple(
            Candidate(name=stills.names[place], similarity=float(similarities[place]))
            for place in order
        ),
        threshold=threshold,
        false_match_rate=rate,
        is_match=None if threshold is None else bool(similarities[order[0]] >= threshold),
        warnings=told_of_poor("the query", usability, decides=rate is not None),
    )


_Vectors: TypeAlias = tuple[FloatArray, FloatArray]
"""(D,) by the fuser and (D,) by the plain mean."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Models:
    embedder: Embedder
    detector: Detector
    fuser: Fuser
    quality: CropQuality | None
    read_person: Callable[[str, Path | EmbeddingSet], EmbeddingSet] | None


def _is_person(path: Path, skipped: list[SkippedImage]) -> bool:
    """Whether something in a gallery's folder is a person; notes what is passed over, as `list_images` does."""
    if is_hidden(path.name):
        return False
    if path.is_dir() or path.suffix.lower() in (".npz", ".parquet"):
        return True
    verdict = judge_file(path.name, partial(read_head, path))
    if isinstance(verdict, str):
        skipped.append(SkippedImage(source=path.as_posix(), reason=verdict))
        return False
    return verdict


def _read(
    file_name: str,
    path: Path,
    models: _Models,
    skipped: list[SkippedImage],
    unstated: list[Path],
    poor: list[str],
) -> Iterator[tuple[str, _Vectors]]:
    """The people of one image, folder or file with their vectors; none where no image can be used.

    Notes what was skipped, files that do not say what made their embeddings, and templates that are not usable.
    """
    kind = kind_of(path)
    if kind == "templates":
        people = TemplateSet.load(path)
        unstated += [path] if people.embedder is None else []
        for name in people:
            poor += told_of_poor(name, judge_template(people[name]), decides=False)
            yield name, _template_vectors(people[name], path, models)
        return
    name = file_name if path.is_dir() else Path(file_name).stem
    if kind == "template":
        template = Template.load(path)
        unstated += [path] if template.embedder is None else []
        poor += told_of_poor(name, judge_template(template), decides=False)
        yield name, _template_vectors(template, path, models)
        return
    if path.suffix.lower() == ".npz":
        images = EmbeddingSet.load(path)
        unstated += [path] if images.embedder is None else []
        if images.embedder not in (None, models.embedder.fingerprint):
            raise EmbedderMismatchError(
                f"{in_one_line(path)}: embeddings of {images.embedder}, expected {models.embedder.fingerprint}. "
                f"{remedy(images.embedder, models.embedder.fingerprint, 'Make them with the embedder of the video.')}"
            )
        if models.read_person is not None:
            images = models.read_person(name, images)
    elif models.read_person is not None:
        try:
            images = models.read_person(name, path)
        except EmptySetError as error:
            skipped.append(SkippedImage(source=path.as_posix(), reason=str(error)))
            return
    else:
        try:
            report = embed_images(
                path, models.embedder, detector=models.detector, quality=models.quality
            )
        except EmptySetError as error:
            skipped.append(SkippedImage(source=path.as_posix(), reason=str(error)))
            return
        skipped.extend(report.skipped)
        for note in notes_on_faces(report.faces):
            _log.warning("gallery: %s", note)
        images = report.embedding_set
    yield name, (models.fuser.fuse(images).vector, MeanFuser().fuse(images).vector)


def _note_unstated(paths: Sequence[Path], embedder: str) -> None:
    """Notes in the log that nobody says of these files whether they fit the video."""
    _log.warning(
        "gallery: %s%s: not said what made the embeddings; those of the video are of %s. Similarities say nothing "
        "if it was another. If it was the same, make templates that say so: probefusion fuse FILE --embedder NAME "
        "-o TEMPLATE.npz",
        paths[0],
        f" and {len(paths) - 1} more" if len(paths) > 1 else "",
        embedder,
    )


def _template_vectors(template: Template, path: Path, models: _Models) -> _Vectors:
    embedder, fuser = models.embedder.fingerprint, models.fuser.fingerprint
    if template.embedder not in (None, embedder):
        raise EmbedderMismatchError(
            f"{in_one_line(path)}: template of the embedder {template.embedder}, expected {embedder}. "
            f"{remedy(template.embedder, embedder, 'Make it with the embedder of the video.')}"
        )
    if template.fuser not in (None, fuser):
        raise FuserMismatchError(
            f"{in_one_line(path)}: template of the fuser {template.fuser}, expected {fuser}. Make it "
            f"with the fuser of the video."
        )
    return template.vector, template.vector
