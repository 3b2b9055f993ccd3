"""All inputs of one person to one template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.files.reading import in_one_line
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.face_notes import tell_notes
from probefusion.pipeline.inputs import Inputs, Source, sort_inputs
from probefusion.pipeline.merge import SeenPerson, fuse_parts
from probefusion.pipeline.predicted_gain import gain_of
from probefusion.pipeline.results import FaceChoice, Fused
from probefusion.pipeline.strangers import Screened, check_strangers, joined_sets, screen_parts
from probefusion.pipeline.videos import Extract, read_video, seen_most
from probefusion.types import EmbeddingSet
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.embedders import EmbeddingReport
    from probefusion.faces import FaceFacts, SkippedImage
    from probefusion.video import Clip, VideoSettings

__all__ = ["UnitProgress", "fuse_person", "read_sets"]

UnitProgress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is counted ("images", "people", "frames"), how many are done, and in all (or None)."""


def fuse_person(
    models: Models,
    inputs: Source | Iterable[Source],
    *,
    one_person: bool,
    settings: VideoSettings | None,
    extract: Extract | None,
    progress: UnitProgress | None,
    should_stop: Callable[[], bool] | None,
    strangers: str = "tell",
) -> Fused:
    """Does what `Pipeline.fuse` promises, with these models."""
    wanted = check_strangers(strangers)
    given = sort_inputs(inputs, one_person=one_person, ignore_columns=models.ignore_columns)
    _check_can_embed(given, models)
    gathered = _Gathered(sets=[models.state_embedder(images) for images in given.sets])
    states = [models.state_embedder_of(state) for state in given.states]
    gathered.num_faces += [None] * len(gathered.sets)
    for report in _embed_inputs(given, models, progress):
        gathered.take_report(*_with_common_face(given, models, report))
    if given.videos and not gathered.sets and not given.states:
        fuser = models.fuser_of_new_images()
    else:
        fuser = models.choose_fuser(gathered.sets, states)
    for video in given.videos:
        if gathered.people and should_stop is not None and should_stop():
            gathered.problems.append(f"{in_one_line(video)}: left out: reading was ended before it")
            continue
        with read_video(
            models,
            video,
            fuser=fuser,
            settings=settings,
            extract=extract,
            progress=_counting("frames", progress),
            should_stop=should_stop,
        ) as clip:
            gathered.take_clip(clip)
    tell_notes(gathered.faces)
    screened = screen_parts(fuser, gathered.sets, wanted)
    gathered.take_screened(screened)
    merged = fuse_parts(
        fuser,
        states=states,
        sets=screened.sets,
        people=gathered.people,
        chunk_size=models.chunk_size,
    )
    usability = judge_usability(fuser, merged.state)
    if wanted == "refuse":
        usability.refuse()
    return Fused(
        template=merged.template,
        state=merged.state,
        images=None if states or gathered.people else joined_sets(screened.sets),
        sources=merged.sources,
        skipped=tuple(gathered.skipped),
        problems=tuple(gathered.problems),
        num_faces=None if given.states else gathered.all_num_faces(),
        faces=tuple(gathered.faces),
        num_tracks=gathered.num_tracks,
        was_stopped=bool(given.videos) and should_stop is not None and should_stop(),
        similarities=merged.similarities,
        screening=screened.screening,
        face_choice=gathered.face_choice,
        usability=usability,
        gain=gain_of(
            fuser, merged.template, screened.sets, is_whole=not (states or gathered.people)
        ),
    )


def read_sets(
    models: Models,
    inputs: Source | Iterable[Source],
    *,
    one_person: bool,
    progress: UnitProgress | None,
    made_by: str | None = None,
) -> tuple[list[EmbeddingSet], list[SkippedImage]]:
    """Does what `Pipeline.read_sets` promises, with these models; `made_by` as for `Models.judge`."""
    given = sort_inputs(inputs, one_person=one_person, ignore_columns=models.ignore_columns)
    if given.states or given.videos:
        what = "a saved state" if given.states else f"the video {given.videos[0]}"
        raise ConfigError(
            f"inputs: {what} is not expected here, which holds no embeddings. Turn it into a template first: "
            f"probefusion fuse INPUT -o template.npz"
        )
    _check_can_embed(given, models)
    gathered = _Gathered(sets=[models.state_embedder(images) for images in given.sets])
    for report in _embed_inputs(given, models, progress, made_by):
        gathered.take_report(report)
    tell_notes(gathered.faces)
    return gathered.sets, gathered.skipped


@dataclass(kw_only=True, eq=False)
class _Gathered:
    """What was made of the inputs of one person so far."""

    sets: list[EmbeddingSet]
    num_faces: list[npt.NDArray[np.int64] | None] = field(default_factory=list)
    faces: list[FaceFacts] = field(default_factory=list)
    skipped: list[SkippedImage] = field(default_factory=list)
    people: list[SeenPerson] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    num_tracks: int = 0
    face_choice: FaceChoice | None = None

    def take_screened(self, screened: Screened) -> None:
        self.skipped += screened.skipped
        self.problems += screened.problems
        self.num_faces = [
            None if counts is None else counts[rows]
            for counts, rows in zip(self.num_faces, screened.kept, strict=True)
        ]

    def take_report(self, report: EmbeddingReport, choice: FaceChoice | None = None) -> None:
        self.face_choice = self.face_choice or choice
        if choice is not None and not choice.is_clear:
            self.problems.append(str(choice))
        self.sets.append(report.embedding_set)
        self.skipped += report.skipped
        self.num_faces.append(report.num_faces)
        self.faces += report.faces

    def take_clip(self, clip: Clip) -> None:
        self.people.append(seen_most(clip))
        self.num_tracks = max(self.num_tracks, len(clip.people))
        self.problems += [
            f"{in_one_line(clip.facts.source)}: {problem}" for problem in clip.problems
        ]

    def all_num_faces(self) -> npt.NDArray[np.int64] | None:
        known = [counts for counts in self.num_faces if counts is not None]
        if self.people or not known or len(known) < len(self.num_faces):
            return None
        return np.concatenate(known)


def _check_can_embed(given: Inputs, models: Models) -> None:
    if given.videos and models.aligned:
        raise ConfigError(
            f"--aligned: {given.videos[0]} is a video, in which faces are searched. Leave --aligned out and "
            f"give --detector."
        )
    if given.images or given.pictures:
        models.check_can_crop()


def _embed_inputs(
    given: Inputs, models: Models, progress: UnitProgress | None, made_by: str | None = None
) -> Iterator[EmbeddingReport]:
    made_by = given.states[0].fuser if given.states else made_by
    if given.images:
        yield models.embed(
            given.images, kept=False, made_by=made_by, progress=_counting("images", progress)
        )
    if given.pictures:
        from probefusion.pipeline.pictures import embed_pictures

        models.check_aligned(pixels for _, pixels in given.pictures)
        quality = models.judge(kept=False, made_by=made_by)
        yield embed_pictures(given.pictures, models.embedder, models.crop_detector, quality)


def _with_common_face(
    given: Inputs, models: Models, report: EmbeddingReport
) -> tuple[EmbeddingReport, FaceChoice | None]:
    if models.aligned or not given.images:
        return report, None
    from probefusion.pipeline.common_face import common_face

    return common_face(models, given.images, report)


def _counting(unit: str, progress: UnitProgress | None) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(unit, done, total)
