"""Two people, or the people of two files: how alike, and whether that is a match."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import numpy as np

from probefusion.errors import DtypeError
from probefusion.files.paths import brief
from probefusion.fusion.threshold import check_rate
from probefusion.pipeline.card_decisions import Made, decisions_of
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.comparison import Comparison, Side
from probefusion.pipeline.decisions import Calibrated
from probefusion.pipeline.decisions import Side as DecidedSide
from probefusion.pipeline.fuse_person import UnitProgress
from probefusion.pipeline.sides import (
    decided_side,
    fused_side,
    of_side,
    read_set,
    read_template,
    usability_of,
)
from probefusion.types import EmbeddingSet, TemplateSet

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser

__all__ = ["compare_many", "compare_two", "search_people"]

_log = logging.getLogger("probefusion")


def compare_two(
    models: Models,
    first: Side,
    second: Side,
    *,
    false_match_rate: float,
    progress: UnitProgress | None,
    calibration: Calibrated = None,
) -> Comparison:
    """Does what `Pipeline.compare` promises, with these models."""
    _check_rate(false_match_rate)
    given = [read_template(side) for side in (first, second)]
    made_by = next((person.fuser for person in given if person is not None and person.fuser), None)
    skipped: list[SkippedImage] = []
    people = [
        read_set(models, side, made_by, of_side(progress, name), skipped)
        if template is None
        else template
        for side, template, name in zip((first, second), given, "AB", strict=True)
    ]
    sets = [person for person in people if isinstance(person, EmbeddingSet)]
    if sets:
        fuser: Fuser | None = models.choose_fuser(sets, made_by=made_by)
    else:  # all is fused; the fuser is needed for its threshold only
        fuser = None if made_by is None else models.fuser_that_made(made_by)
    one, other = (fused_side(person, fuser, models.chunk_size) for person in people)
    usability = [usability_of(person, fuser, models.chunk_size) for person in people]
    counts = (one.num_images, other.num_images)
    similarity = one.similarity(other)
    _note_unknown(("A", one, given[0] is not None), ("B", other, given[1] is not None))
    decision = decisions_of(
        calibration,
        fuser,
        decided_side("A", [one]),
        decided_side("B", [other]),
        one,
        false_match_rate,
        None,
    )[0]
    return Comparison(
        similarity=similarity,
        num_images=counts,
        fuser=one.fuser,
        embedder=one.embedder,
        skipped=tuple(skipped),
        usability=(usability[0], usability[1]),
        **vars(decision),
    )


def search_people(
    models: Models,
    person: Side,
    among: TemplateSet,
    *,
    false_match_rate: float,
    progress: UnitProgress | None,
    false_positive_rate: float | None = None,
    calibration: Calibrated = None,
) -> list[Comparison]:
    """Does what `Pipeline.search` promises, with these models."""
    _check_rate(false_match_rate)
    if false_positive_rate is not None:
        check_rate(false_positive_rate, name="--fpir")
    _check_set(among, "among")
    skipped: list[SkippedImage] = []
    found = read_template(person)
    is_given = found is not None
    usability = None
    if found is None:
        images = read_set(models, person, among.fuser, progress, skipped)
        chosen = models.choose_fuser([images], made_by=among.fuser)
        found = chosen.fuse(images, chunk_size=models.chunk_size)
        usability = usability_of(images, chosen, models.chunk_size)
    similarities = TemplateSet.of({"person": found}).similarities(among)[0]
    _note_unknown(("the person", found, is_given), ("the set of templates", among, True))
    fuser = None if found.fuser is None else models.fuser_that_made(found.fuser)
    repeated = [found] * len(among)
    decisions = decisions_of(
        calibration,
        fuser,
        decided_side("the person", repeated),
        DecidedSide(name="its candidate", vectors=among.vectors, num_images=among.num_images),
        found,
        false_match_rate,
        false_positive_rate,
    )
    label = os.fspath(person) if isinstance(person, str | os.PathLike) else ""
    return [
        Comparison(
            similarity=float(similarities[place]),
            num_images=(found.num_images, int(among.num_images[place])),
            fuser=found.fuser,
            embedder=found.embedder,
            ids=(label, str(among.ids[place])),
            skipped=tuple(skipped),
            usability=(usability, None),
            **vars(decisions[place]),
        )
        for place in np.argsort(-similarities, kind="stable").tolist()
    ]


def compare_many(
    models: Models,
    first: TemplateSet,
    second: TemplateSet | None,
    *,
    false_match_rate: float,
    calibration: Calibrated = None,
) -> list[Comparison]:
    """Does what `Pipeline.compare_people` promises, with these models."""
    _check_rate(false_match_rate)
    _check_set(first, "first")
    if second is not None:
        _check_set(second, "second")
    places, similarities = first.nearest(second)
    among = first if second is None else second
    _note_unknown(("A", first, True), ("B", among, True))
    fuser = None if first.fuser is None else models.fuser_that_made(first.fuser)
    decisions = decisions_of(
        calibration,
        fuser,
        DecidedSide(name="A", vectors=first.vectors, num_images=first.num_images),
        DecidedSide(name="B", vectors=among.vectors[places], num_images=among.num_images[places]),
        first,
        false_match_rate,
        None,
    )
    found = []
    for row, (name, place) in enumerate(zip(first, places.tolist(), strict=True)):
        counts = (int(first.num_images[row]), int(among.num_images[place]))
        comparison = Comparison(
            similarity=float(similarities[row]),
            num_images=counts,
            fuser=first.fuser,
            embedder=first.embedder,
            ids=(name, str(among.ids[place])),
            **vars(decisions[row]),
        )
        found.append(comparison)
    return found


def _note_unknown(first: tuple[str, Made, bool], second: tuple[str, Made, bool]) -> None:
    """Notes in the log that the embedder of one side alone is known; of a side: name, templates, if so given."""
    (_, known, _), (name, unknown, is_template) = sorted(
        (first, second), key=lambda side: side[1].embedder is None
    )
    if known.embedder is None or unknown.embedder is not None:
        return
    _log.warning(
        "%s: not said what made its embeddings; those beside it are of %s. The similarity says nothing if it "
        "was another. If it was the same, %s",
        name,
        known.embedder,
        "fuse its embeddings anew with --embedder NAME (embedder=...)"
        if is_template
        else "say so: --embedder NAME (embedder=...)",
    )


def _check_rate(rate: float) -> None:
    check_rate(rate, name="--fmr")


def _check_set(templates: object, name: str) -> None:
    if not isinstance(templates, TemplateSet):
        raise DtypeError(
            f"{name}: expected a TemplateSet, got {brief(templates)}. Read one with "
            f"TemplateSet.load, or make one with TemplateSet.of."
        )
