"""One side of a comparison: read, and fused where it is no template yet."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import ConfigError, UnsupportedOperationError
from probefusion.files.reading import in_one_line
from probefusion.io import kind_of, read_templates, split_id
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.comparison import Side
from probefusion.pipeline.decisions import Side as DecidedSide
from probefusion.pipeline.fuse_person import UnitProgress, read_sets
from probefusion.types import EmbeddingSet, Template
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser
    from probefusion.screening.usability import Usability

__all__ = ["decided_side", "fused_side", "of_side", "read_set", "read_template", "usability_of"]

_IDS_LISTED = 5


def read_template(side: Side) -> Template | None:
    """The template, or None where the side must be fused first."""
    if isinstance(side, Template):
        return side
    if isinstance(side, str | os.PathLike):
        file, name = split_id(os.fspath(side))
        if name is not None or kind_of(file) in ("template", "templates"):
            return _only_template(os.fspath(side))
    return None


def read_set(
    models: Models,
    side: Any,
    made_by: str | None,
    progress: UnitProgress | None,
    skipped: list[SkippedImage],
) -> EmbeddingSet:
    """The set to be fused by the fuser of the other side, if that has one; notes what was skipped."""
    if isinstance(side, EmbeddingSet):
        return models.state_embedder(side)
    sets, left_out = read_sets(models, side, one_person=False, progress=progress, made_by=made_by)
    skipped += left_out
    return sets[0] if len(sets) == 1 else EmbeddingSet.concatenate(sets)


def of_side(progress: UnitProgress | None, name: str) -> UnitProgress | None:
    """Progress that says which side's images are counted."""
    if progress is None:
        return None
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


def fused_side(
    person: EmbeddingSet | Template, fuser: Fuser | None, chunk_size: int | None
) -> Template:
    """The template of a side; by a fuser where it is a set."""
    if isinstance(person, Template) or fuser is None:
        return person  # type: ignore[return-value]  # where there is a set, a fuser was chosen
    return fuser.fuse(person, chunk_size=chunk_size)


def usability_of(
    person: EmbeddingSet | Template, fuser: Fuser | None, chunk_size: int | None
) -> Usability | None:
    """What can be expected of the template of a set; None for a template, whose state is gone."""
    if isinstance(person, Template) or fuser is None:
        return None
    try:
        chunks = [fuser.encode(part) for part in person.chunks(chunk_size or len(person))]
    except UnsupportedOperationError:
        return judge_usability(fuser, None)
    state = chunks[0]
    for chunk in chunks[1:]:
        state = state + chunk
    return judge_usability(fuser, state)


def decided_side(name: str, templates: list[Template]) -> DecidedSide:
    """Templates as one side of decisions, with what to call them."""
    return DecidedSide(
        name=name,
        vectors=np.stack([template.vector for template in templates]),
        num_images=np.array([template.num_images for template in templates]),
    )
