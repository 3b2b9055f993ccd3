"""One side of a comparison: read, screened, and fused where it is no template yet."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.fusion.decisions import Side as DecidedSide
from probefusion.io import kind_of, read_templates, split_id
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.comparison import Side
from probefusion.pipeline.fuse_person import fuse_gathered
from probefusion.pipeline.gathered import Gathered, UnitProgress, gather
from probefusion.pipeline.named_sets import join_named
from probefusion.pipeline.results import FaceChoice
from probefusion.pipeline.strangers import Strangers
from probefusion.screening import Screening
from probefusion.types import Template, TemplateSet, Usability
from probefusion.zoo.usability import judge_template

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage

__all__ = ["ComparedSide", "decided_side", "finish_side", "gather_side", "read_template"]

_IDS_LISTED = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedSide:
    """One side as it is compared, and what became of what was given.

    Args:
        template: Its template.
        screening: Whether its images are of one person, or why nobody looked.
        usability: What can be expected of the template.
        face_choice: How faces were chosen in photos of several; None if there were none.
        skipped: Images that were left out, with reasons.
        problems: What there is to warn of, in words.
    """

    template: Template
    screening: Screening
    usability: Usability
    face_choice: FaceChoice | None = None
    skipped: tuple[SkippedImage, ...] = ()
    problems: tuple[str, ...] = ()


def read_template(side: Side) -> Template | None:
    """The template, or None where the side must be fused first."""
    if isinstance(side, Template):
        return side
    if isinstance(side, str | os.PathLike):
        file, name = split_id(os.fspath(side))
        if name is not None or kind_of(file) in ("template", "templates"):
            return _only_template(os.fspath(side))
    return None


def gather_side(
    models: Models, side: Any, made_by: str | None, progress: UnitProgress | None, name: str
) -> Gathered:
    """What there is of a side that is no template, read and embedded.

    Args:
        models: Embedder and detector.
        side: What is to be fused.
        made_by: Fingerprint of the fuser of the other side, if that is a template.
        progress: As for `Pipeline.fuse`; says which side's images are counted.
        name: "A" or "B", or "" where there is one such side.
    """
    gathered = gather(
        models,
        side,
        one_person=False,
        progress=_of_side(progress, name),
        made_by=made_by,
        takes_videos=False,
    )
    if len(gathered.sets) > 1:  # a fuser whose answer depends on batches takes them all at once
        gathered = replace(gathered, sets=[join_named(gathered.sets)], num_faces=[None])
    return gathered


def finish_side(
    models: Models,
    given: Template | Gathered,
    fuser: Fuser | None,
    strangers: Strangers,
    name: str = "",
) -> ComparedSide:
    """Screens and fuses a side; a template is taken as it is, and nobody can look at its images.

    Raises:
        SeveralPeopleError, NotUsableError: If that is to be refused.
        ProbeFusionError: As for `fuse_gathered`.
    """
    if isinstance(given, Template) or fuser is None:
        template: Any = given  # where there is anything to be fused, a fuser was chosen
        absent = Screening.absent(template.num_images, "only a template")
        usability = judge_template(template)
        if strangers == "refuse":
            usability.refuse(name or "the person")
        return ComparedSide(template=template, screening=absent, usability=usability)
    fused = fuse_gathered(models, given, fuser, strangers, name=name or "the person")
    before = f"{name}: " if name else ""
    return ComparedSide(
        template=fused.template,
        screening=fused.screening or Screening.absent(fused.num_images, "only a state"),
        usability=fused.usability or judge_template(fused.template),
        face_choice=fused.face_choice,
        skipped=fused.skipped,
        problems=tuple(f"{before}{problem}" for problem in fused.problems),
    )


def decided_side(name: str, templates: Template | TemplateSet) -> DecidedSide:
    """Templates as one side of decisions, with what to call them."""
    if isinstance(templates, Template):
        templates = TemplateSet.of({name: templates})
    return DecidedSide(name=name, vectors=templates.vectors, num_images=templates.num_images)


def _of_side(progress: UnitProgress | None, name: str) -> UnitProgress | None:
    """Progress that says which side's images are counted."""
    if progress is None or not name:
        return progress
    return lambda unit, done, total: progress(f"{unit} of {name}", done, total)


def _only_template(path: str) -> Template:
    found = read_templates(path)
    if isinstance(found, Template):
        return found
    listed = ", ".join(islice(found, _IDS_LISTED))
    more = f" and {len(found) - _IDS_LISTED} more" if len(found) > _IDS_LISTED else ""
    raise ConfigError(
        f"{in_one_line(path)}: expected one template beside one person, got {len(found)}: {listed}{more}. Name one: "
        f"'{in_one_line(path)}#{next(iter(found))}'"
    )
