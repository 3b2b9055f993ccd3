"""Two people, or the people of two files: how alike, and whether that is a match."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import DtypeError
from probefusion.files.paths import brief
from probefusion.fusion.card_decisions import CardDecision, Made, decisions_of
from probefusion.fusion.decisions import Calibrated, Decision
from probefusion.fusion.decisions import Side as DecidedSide
from probefusion.fusion.threshold import check_rate
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.comparison import Comparison, Side
from probefusion.pipeline.gathered import Gathered, UnitProgress
from probefusion.pipeline.sides import (
    decided_side,
    finish_side,
    gather_side,
    read_template,
)
from probefusion.pipeline.strangers import check_strangers
from probefusion.screening.poor_faces import told_of_poor
from probefusion.types import Template, TemplateSet, Usability
from probefusion.zoo.usability import judge_template

if TYPE_CHECKING:
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
    strangers: str = "tell",
) -> Comparison:
    """Does what `Pipeline.compare` promises, with these models."""
    _check_rate(false_match_rate)
    wanted = check_strangers(strangers)
    read = [read_template(side) for side in (first, second)]
    made_by = next((person.fuser for person in read if person is not None and person.fuser), None)
    given = [
        gather_side(models, side, made_by, progress, name) if template is None else template
        for side, template, name in zip((first, second), read, "AB", strict=True)
    ]
    fuser = _fuser_for(models, given, made_by)
    sides = [
        finish_side(models, person, fuser, wanted, name)
        for person, name in zip(given, "AB", strict=True)
    ]
    one, other = (side.template for side in sides)
    similarity = one.similarity(other)
    _note_unknown(("A", one, read[0] is not None), ("B", other, read[1] is not None))
    decision = decisions_of(
        calibration,
        fuser,
        decided_side("A", one),
        decided_side("B", other),
        one,
        false_match_rate,
        None,
    )[0]
    return Comparison(
        similarity=similarity,
        num_images=(one.num_images, other.num_images),
        fuser=one.fuser,
        embedder=one.embedder,
        skipped=(*sides[0].skipped, *sides[1].skipped),
        screening=(sides[0].screening, sides[1].screening),
        face_choice=(sides[0].face_choice, sides[1].face_choice),
        **_told(
            decision,
            ("A", sides[0].usability),
            ("B", sides[1].usability),
            (*sides[0].problems, *sides[1].problems),
        ),
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
    strangers: str = "tell",
) -> list[Comparison]:
    """Does what `Pipeline.search` promises, with these models."""
    _check_rate(false_match_rate)
    if false_positive_rate is not None:
        check_rate(false_positive_rate, name="--fpir")
    _check_set(among, "among")
    wanted = check_strangers(strangers)
    template = read_template(person)
    given = template or gather_side(models, person, among.fuser, progress, "")
    side = finish_side(models, given, _fuser_for(models, [given], among.fuser), wanted)
    found = side.template
    similarities = TemplateSet.of({"person": found}).similarities(among)[0]
    _note_unknown(
        ("the person", found, template is not None), ("the set of templates", among, True)
    )
    repeated = DecidedSide(
        name="the person",
        vectors=np.repeat(found.vector[None], len(among), axis=0),
        num_images=np.repeat(found.num_images, len(among)),
    )
    decisions = decisions_of(
        calibration,
        None if found.fuser is None else models.fuser_that_made(found.fuser, found.embedder),
        repeated,
        decided_side("its candidate", among),
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
            skipped=side.skipped,
            screening=(side.screening, None),
            face_choice=(side.face_choice, None),
            **_told(
                decisions[place],
                ("the person", side.usability),
                ("its candidate", judge_template(among[str(among.ids[place])])),
                side.problems,
            ),
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
    fuser = None if first.fuser is None else models.fuser_that_made(first.fuser, first.embedder)
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
            **_told(
                decisions[row],
                ("A", judge_template(first[name])),
                ("B", judge_template(among[str(among.ids[place])])),
            ),
        )
        found.append(comparison)
    return found


def _told(
    decision: Decision | CardDecision,
    first: tuple[str, Usability],
    second: tuple[str, Usability],
    problems: Sequence[str] = (),
) -> dict[str, Any]:
    """What was decided, and what there is to tell of either side, by its name and what can be expected of it."""
    sides = (first, second)
    poor: list[str] = []
    doubts: list[str] = []
    for side in sides:
        into = poor if side[1].is_not_usable else doubts
        into += told_of_poor(*side, decides=decision.threshold is not None)
    return {
        **vars(decision),
        "warnings": (*decision.warnings, *doubts),
        "problems": (*problems, *poor),
        "usability": (first[1], second[1]),
    }


def _fuser_for(
    models: Models, given: Sequence[Template | Gathered], made_by: str | None
) -> Fuser | None:
    """The fuser of all sides that must be fused; that of the templates, for its threshold alone, where none must."""
    gathered = [person for person in given if isinstance(person, Gathered)]
    if not gathered:
        known = {one.embedder for one in given if isinstance(one, Template) and one.embedder}
        embedder = known.pop() if len(known) == 1 else None
        return None if made_by is None else models.fuser_that_made(made_by, embedder)
    sets = [images for person in gathered for images in person.sets]
    states = [state for person in gathered for state in person.states]
    return models.choose_fuser(sets, states, made_by=made_by)


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
