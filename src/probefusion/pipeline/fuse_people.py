"""A folder of people's folders to a set of templates."""

from __future__ import annotations

import os

from probefusion.errors import EmptySetError, UnsupportedOperationError
from probefusion.files.paths import as_path
from probefusion.files.reading import in_one_line
from probefusion.pipeline.alignment_check import UnalignedPersonError
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.folders import check_people
from probefusion.pipeline.fuse_person import UnitProgress
from probefusion.pipeline.merge import Merged, fuse_parts
from probefusion.pipeline.results import FusedPeople
from probefusion.types import FusionState, TemplateSet
from probefusion.zoo.usability import judge_usability

__all__ = ["fuse_folders"]


def fuse_folders(
    models: Models,
    folder: str | os.PathLike[str],
    *,
    keep_states: bool,
    progress: UnitProgress | None,
) -> FusedPeople:
    """Does what `Pipeline.fuse_people` promises, with these models."""
    people, listed = check_people(as_path(folder, "folder"))
    models.check_can_crop()
    skipped = list(listed)
    problems: list[str] = []
    fused: dict[str, Merged] = {}
    for done, (name, images) in enumerate(people.items(), start=1):
        try:
            report = models.embed(images, kept=False)
        except (EmptySetError, UnalignedPersonError) as error:
            problems.append(f"{in_one_line(name)}: left out: {error}")
        else:
            skipped += report.skipped
            sets = [report.embedding_set]
            fuser = models.choose_fuser(sets)
            fused[name] = fuse_parts(fuser, sets=sets, chunk_size=models.chunk_size)
            usability = judge_usability(fuser, fused[name].state)
            if usability.is_not_usable:
                problems.append(f"{in_one_line(name)}: {usability}")
        if progress is not None:
            progress("people", done, len(people))
    if not fused:
        raise EmptySetError(
            f"{in_one_line(folder)}: no image of {len(people)} people could be used: {problems[0]}"
        )
    return FusedPeople(
        templates=TemplateSet.of(
            {name: merged.template for name, merged in fused.items()},
            states=_states(fused) if keep_states else None,
        ),
        skipped=tuple(skipped),
        problems=tuple(problems),
    )


def _states(fused: dict[str, Merged]) -> dict[str, FusionState]:
    states = {name: merged.state for name, merged in fused.items() if merged.state is not None}
    if len(states) < len(fused):
        raise UnsupportedOperationError(
            "keep_states: this fuser keeps no state to which images could be added. Leave it out."
        )
    return states
