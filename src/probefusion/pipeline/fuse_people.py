"""A folder of people's folders to a set of templates."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probefusion.errors import (
    EmptySetError,
    NotUsableError,
    SeveralPeopleError,
    UnsupportedOperationError,
)
from probefusion.files.paths import as_path
from probefusion.files.reading import in_one_line
from probefusion.pipeline.alignment_check import UnalignedPersonError
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.common_face import common_face, photos_of_files
from probefusion.pipeline.face_notes import tell_notes
from probefusion.pipeline.folders import check_people
from probefusion.pipeline.gathered import UnitProgress
from probefusion.pipeline.merge import Merged, fuse_parts
from probefusion.pipeline.results import FusedPeople
from probefusion.pipeline.strangers import Strangers, check_strangers, screen_parts
from probefusion.types import FusionState, TemplateSet
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.faces import FaceFacts, ImageSource, SkippedImage
    from probefusion.screening import Screening
    from probefusion.screening.usability import Usability

__all__ = ["fuse_folders"]

_LEFT_OUT = (EmptySetError, UnalignedPersonError, SeveralPeopleError, NotUsableError)
"""What leaves one person out, and not all."""


def fuse_folders(
    models: Models,
    folder: str | os.PathLike[str],
    *,
    keep_states: bool,
    progress: UnitProgress | None,
    strangers: str = "tell",
) -> FusedPeople:
    """Does what `Pipeline.fuse_people` promises, with these models."""
    wanted = check_strangers(strangers)
    people, listed = check_people(as_path(folder, "folder"))
    models.check_can_crop()
    skipped = list(listed)
    problems: list[str] = []
    faces: list[FaceFacts] = []
    fused: dict[str, Merged] = {}
    screenings: dict[str, Screening] = {}
    usabilities: dict[str, Usability] = {}
    for done, (name, images) in enumerate(people.items(), start=1):
        try:
            person = _fuse_one(models, name, images, wanted)
        except _LEFT_OUT as error:
            problems.append(f"{in_one_line(name)}: left out: {error}")
        else:
            fused[name] = person.merged
            skipped += person.skipped
            problems += person.problems
            faces += person.faces
            screenings[name] = person.screening
            usabilities[name] = person.usability
        if progress is not None:
            progress("people", done, len(people))
    if not fused:
        raise EmptySetError(
            f"{in_one_line(folder)}: no image of {len(people)} people could be used: {problems[0]}"
        )
    tell_notes(faces)
    return FusedPeople(
        faces=tuple(faces),
        templates=TemplateSet.of(
            {
                name: replace(merged.template, usability=usabilities[name])
                for name, merged in fused.items()
            },
            states=_states(fused) if keep_states else None,
        ),
        skipped=tuple(skipped),
        problems=tuple(problems),
        screenings=screenings,
        usabilities=usabilities,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Person:
    """One person fused, and what there is to say of it."""

    merged: Merged
    skipped: list[SkippedImage]
    problems: list[str]
    faces: tuple[FaceFacts, ...]
    screening: Screening
    usability: Usability


def _fuse_one(
    models: Models, name: str, images: list[ImageSource], strangers: Strangers
) -> _Person:
    embedded = models.embed(images, kept=False)
    report, choice = common_face(models, photos_of_files(images), embedded)
    fuser = models.choose_fuser([report.embedding_set])
    screened = screen_parts(fuser, [report.embedding_set], strangers, name=in_one_line(name))
    unclear = [] if choice is None or choice.is_clear else [str(choice)]
    merged = fuse_parts(fuser, sets=screened.sets, chunk_size=models.chunk_size)
    usability = judge_usability(fuser, merged.state, calibration=models.calibration_file)
    if strangers == "refuse":
        usability.refuse()
    unusable = [str(usability)] if usability.is_not_usable else []
    return _Person(
        merged=merged,
        skipped=[*report.skipped, *screened.skipped],
        problems=[
            f"{in_one_line(name)}: {text}" for text in (*unclear, *screened.problems, *unusable)
        ],
        faces=report.faces,
        screening=screened.screening,
        usability=usability,
    )


def _states(fused: dict[str, Merged]) -> dict[str, FusionState]:
    states = {name: merged.state for name, merged in fused.items() if merged.state is not None}
    if len(states) < len(fused):
        raise UnsupportedOperationError(
            "keep_states: this fuser keeps no state to which images could be added. Leave it out."
        )
    return states
