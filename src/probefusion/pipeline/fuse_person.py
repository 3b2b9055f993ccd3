"""All inputs of one person to one template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.fusion.decisions import find_calibration
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.face_notes import tell_notes
from probefusion.pipeline.gathered import Gathered, UnitProgress, counting, gather
from probefusion.pipeline.inputs import Source
from probefusion.pipeline.merge import fuse_parts
from probefusion.pipeline.poor_images import verdicts_of
from probefusion.pipeline.predicted_gain import gain_of
from probefusion.pipeline.results import Fused
from probefusion.pipeline.strangers import Strangers, check_strangers, joined_sets, screen_parts
from probefusion.pipeline.videos import Extract, read_video
from probefusion.types import EmbeddingSet
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.video import VideoSettings

__all__ = ["fuse_gathered", "fuse_person"]


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
    gathered = gather(models, inputs, one_person=one_person, progress=progress)
    if gathered.videos and not gathered.sets and not gathered.states:
        fuser = models.fuser_of_new_images()
    else:
        fuser = models.choose_fuser(gathered.sets, gathered.states)
    for video in gathered.videos:
        if gathered.people and should_stop is not None and should_stop():
            gathered.problems.append(f"{in_one_line(video)}: left out: reading was ended before it")
            continue
        with read_video(
            models,
            video,
            fuser=fuser,
            settings=settings,
            extract=extract,
            progress=counting("frames", progress),
            should_stop=should_stop,
        ) as clip:
            gathered.take_clip(clip)
    was_stopped = bool(gathered.videos) and should_stop is not None and should_stop()
    return fuse_gathered(models, gathered, fuser, wanted, was_stopped=was_stopped)


def fuse_gathered(
    models: Models,
    gathered: Gathered,
    fuser: Fuser,
    strangers: Strangers,
    *,
    was_stopped: bool = False,
    name: str = "inputs",
) -> Fused:
    """Screens and fuses what was gathered of one person.

    Args:
        models: As for `Pipeline.fuse`.
        gathered: What there is of the person.
        fuser: The fuser.
        strangers: What to do about images of somebody else.
        was_stopped: Whether reading was ended early.
        name: What to call the inputs in messages.

    Raises:
        SeveralPeopleError, NotUsableError: If that is to be refused.
        FuserMismatchError, EmbedderMismatchError: If the calibration that was given is of others.
        ProbeFusionError: As for `fuse_parts`, or if the calibration cannot be read.
    """
    tell_notes(gathered.faces)
    screened = screen_parts(
        fuser, gathered.sets, strangers, name=name, states=gathered.states, people=gathered.people
    )
    gathered.take_screened(screened)
    merged = fuse_parts(
        fuser,
        states=gathered.states,
        sets=screened.sets,
        people=gathered.people,
        chunk_size=models.chunk_size,
    )
    if models.calibration_file is not None:
        made_with = None if merged.state is None else merged.state.embedder
        find_calibration(models.calibration_file, fuser, fuser.fingerprint, made_with)
    usability = judge_usability(fuser, merged.state, calibration=models.calibration_file)
    if strangers == "refuse":
        usability.refuse(name)
    return Fused(
        template=replace(merged.template, usability=usability),
        state=merged.state,
        images=_all_images(gathered, screened.sets),
        sources=merged.sources,
        skipped=tuple(gathered.skipped),
        problems=tuple(gathered.problems),
        num_faces=gathered.all_num_faces(),
        faces=tuple(gathered.faces),
        num_tracks=gathered.num_tracks,
        was_stopped=was_stopped,
        similarities=merged.similarities,
        screening=screened.screening,
        face_choice=gathered.face_choice,
        usability=usability,
        gain=gain_of(
            fuser,
            merged.template,
            screened.sets,
            is_whole=not (gathered.states or gathered.people),
            calibration=models.calibration_file,
        ),
        verdicts=verdicts_of(
            fuser,
            screened.sets,
            is_whole=not (gathered.states or gathered.people),
            calibration=models.calibration_file,
        ),
    )


def _all_images(gathered: Gathered, sets: Sequence[EmbeddingSet]) -> EmbeddingSet | None:
    """All images that were fused, those of videos last; None where of some there is only a state."""
    seen = [person.images for person in gathered.people]
    known = [images for images in seen if images is not None]
    if gathered.states or len(known) < len(seen):
        return None
    return joined_sets([*sets, *known])
