"""What the inputs of one person came to, before they are fused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.files.reading import in_one_line
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.inputs import Inputs, Source, sort_inputs
from probefusion.pipeline.merge import SeenPerson
from probefusion.pipeline.results import FaceChoice
from probefusion.pipeline.seen_person import seen_most
from probefusion.pipeline.strangers import Screened
from probefusion.types import EmbeddingSet, FusionState

if TYPE_CHECKING:
    from probefusion.embedders import EmbeddingReport
    from probefusion.faces import FaceFacts, SkippedImage
    from probefusion.video import Clip

__all__ = ["Gathered", "UnitProgress", "counting", "gather"]

UnitProgress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is counted ("images", "people", "frames"), how many are done, and in all (or None)."""


@dataclass(kw_only=True, eq=False)
class Gathered:
    """What was made of the inputs of one person so far.

    Args:
        videos: Files, streams and webcams that are to be read.
        states: Saved states.
        sets: Embedding sets, one for each file or object and one for all images.
    """

    videos: list[str] = field(default_factory=list)
    states: list[FusionState] = field(default_factory=list)
    sets: list[EmbeddingSet] = field(default_factory=list)
    num_faces: list[npt.NDArray[np.int64] | None] = field(default_factory=list)
    faces: list[FaceFacts] = field(default_factory=list)
    skipped: list[SkippedImage] = field(default_factory=list)
    people: list[SeenPerson] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    num_tracks: int = 0
    face_choice: FaceChoice | None = None

    def take_report(self, report: EmbeddingReport, choice: FaceChoice | None = None) -> None:
        """Takes images that were embedded, and how faces were chosen in them."""
        self.face_choice = self.face_choice or choice
        if choice is not None and not choice.is_clear:
            self.problems.append(str(choice))
        self.sets.append(report.embedding_set)
        self.skipped += report.skipped
        self.num_faces.append(report.num_faces)
        self.faces += report.faces

    def take_clip(self, clip: Clip) -> None:
        """Takes the person of a video that was seen most."""
        self.people.append(seen_most(clip))
        self.num_tracks = max(self.num_tracks, len(clip.people))
        self.problems += [
            f"{in_one_line(clip.facts.source)}: {problem}" for problem in clip.problems
        ]

    def take_screened(self, screened: Screened) -> None:
        """Takes what is left of the sets after screening."""
        self.skipped += screened.skipped
        self.problems += screened.problems
        self.num_faces = [
            None if counts is None else counts[rows]
            for counts, rows in zip(self.num_faces, screened.kept, strict=True)
        ]
        self.sets = screened.sets

    def all_num_faces(self) -> npt.NDArray[np.int64] | None:
        """(N,) faces seen in the photo of each image, None if not all images are photos."""
        known = [counts for counts in self.num_faces if counts is not None]
        if self.states or self.people or not known or len(known) < len(self.num_faces):
            return None
        return np.concatenate(known)


def gather(
    models: Models,
    inputs: Source | Iterable[Source],
    *,
    one_person: bool,
    progress: UnitProgress | None,
    made_by: str | None = None,
    name: str = "inputs",
    takes_states: bool = True,
    takes_videos: bool = True,
) -> Gathered:
    """Reads and embeds everything that there is of one person; videos are left to be read.

    Of photos that show several faces the one that is common to all is taken.

    Args:
        models: Embedder and detector.
        inputs: As for `Pipeline.fuse`.
        one_person: As for `Pipeline.fuse`.
        progress: As for `Pipeline.fuse`.
        made_by: As for `Models.judge`.
        name: What to call the inputs in messages.
        takes_states: Whether saved states may be among the inputs.
        takes_videos: Whether videos may be.

    Raises:
        ProbeFusionError: As for `Pipeline.fuse`.
    """
    given = sort_inputs(inputs, one_person=one_person, ignore_columns=models.ignore_columns)
    if (given.states and not takes_states) or (given.videos and not takes_videos):
        is_state = given.states and not takes_states
        what = "a saved state" if is_state else f"the video {given.videos[0]}"
        raise ConfigError(
            f"{name}: {what} is not expected here, which holds no embeddings. Turn it into a template first: "
            f"probefusion fuse INPUT -o template.npz"
        )
    _check_can_embed(given, models)
    gathered = Gathered(
        videos=given.videos,
        sets=[models.state_embedder(images) for images in given.sets],
        states=[models.state_embedder_of(state) for state in given.states],
    )
    gathered.num_faces += [None] * len(gathered.sets)
    for report, choice in _embed_inputs(given, models, progress, made_by):
        gathered.take_report(report, choice)
    return gathered


def counting(unit: str, progress: UnitProgress | None) -> Callable[[int, int | None], None] | None:
    """Progress of one unit."""
    if progress is None:
        return None
    return lambda done, total: progress(unit, done, total)


def _check_can_embed(given: Inputs, models: Models) -> None:
    if given.videos and models.aligned:
        raise ConfigError(
            f"--aligned: {given.videos[0]} is a video, in which faces are searched. Leave --aligned out and "
            f"give --detector."
        )
    if given.images or given.pictures:
        models.check_can_crop()


def _embed_inputs(
    given: Inputs, models: Models, progress: UnitProgress | None, made_by: str | None
) -> Iterator[tuple[EmbeddingReport, FaceChoice | None]]:
    """Images that are embedded, those of files first, and how faces were chosen in them."""
    from probefusion.pipeline.common_face import common_face, photos_of_files, photos_of_memory

    made_by = given.states[0].fuser if given.states else made_by
    if given.images:
        report = models.embed(
            given.images, kept=False, made_by=made_by, progress=counting("images", progress)
        )
        yield common_face(models, photos_of_files(given.images), report)
    if given.pictures:
        from probefusion.pipeline.pictures import embed_pictures

        models.check_aligned(pixels for _, pixels in given.pictures)
        quality = models.judge(kept=False, made_by=made_by)
        report = embed_pictures(
            given.pictures,
            models.embedder,
            models.crop_detector,
            quality,
            keep_chips=models.keep_chips,
        )
        yield common_face(models, photos_of_memory(given.pictures), report)
