"""Two people, or the people of two files: how alike, and whether that is a match."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from probefusion.errors import ConfigError, DtypeError, UnsupportedOperationError
from probefusion.files.paths import brief
from probefusion.files.reading import in_one_line
from probefusion.fusion.threshold import check_rate
from probefusion.io import kind_of, read_templates, split_id
from probefusion.pipeline.chosen_models import Models
from probefusion.pipeline.decisions import Calibrated, Decision, decide, find_calibration
from probefusion.pipeline.decisions import Side as DecidedSide
from probefusion.pipeline.fuse_person import UnitProgress, read_sets
from probefusion.pipeline.inputs import Source
from probefusion.types import EmbeddingSet, Template, TemplateSet
from probefusion.zoo.usability import judge_usability

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser
    from probefusion.fusion.threshold import Threshold
    from probefusion.screening.usability import Usability

__all__ = ["Comparison", "Side", "compare_many", "compare_two", "search_people"]

Side: TypeAlias = Template | Source | Iterable[Source]
"""One person: a template, `FILE`, `FILE#ID`, or what is to be fused."""

_OF_ONE_SIDE = (
    "the thresholds in the fuser's card hold for a poor set beside one clean image; of two poor sets, false "
    "matches were up to 9 times as frequent. Calibrate: probefusion calibrate"
)

_log = logging.getLogger("probefusion")

_IDS_LISTED = 5

_Made: TypeAlias = Template | TemplateSet


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How alike two templates are.

    Args:
        similarity: Their cosine, in [-1, 1].
        num_images: How many images went into each.
        fuser: Fingerprint of the fuser of the first, or None when unknown.
        embedder: Fingerprint of the embedder of the first, or None when unknown.
        threshold: The threshold for these two at the rate that was asked for, or None where there is none: a
            `probefusion.pipeline.decisions.MeasuredThreshold`, or one of an older fuser's card.
        ids: Which templates of two sets were compared, or None. Of one person beside a set, that side's
            path, or "" where it is an object.
        skipped: Images that could not be used, with reasons.
        usability: What can be expected of each side's template; None for one that was fused before, which
            does not hold its state.
        why_none: Why there is no threshold, or None.
        warnings: Where the two lie outside what the calibration saw, or it does not tell them apart.
    """

    similarity: float
    num_images: tuple[int, int]
    fuser: str | None
    embedder: str | None
    threshold: Threshold | None
    ids: tuple[str, str] | None = None
    skipped: tuple[SkippedImage, ...] = ()
    usability: tuple[Usability | None, Usability | None] = (None, None)
    why_none: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_match(self) -> bool | None:
        """Whether the similarity reaches the threshold; None where there is none."""
        return None if self.threshold is None else self.similarity >= self.threshold.similarity


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
    given = [_read_template(side) for side in (first, second)]
    made_by = next((person.fuser for person in given if person is not None and person.fuser), None)
    skipped: list[SkippedImage] = []
    people = [
        _read_set(models, side, made_by, _of_side(progress, name), skipped)
        if template is None
        else template
        for side, template, name in zip((first, second), given, "AB", strict=True)
    ]
    sets = [person for person in people if isinstance(person, EmbeddingSet)]
    if sets:
        fuser: Fuser | None = models.choose_fuser(sets, made_by=made_by)
    else:  # all is fused; the fuser is needed for its threshold only
        fuser = None if made_by is None else models.fuser_that_made(made_by)
    one, other = (_fused(person, fuser, models.chunk_size) for person in people)
    usability = [_usability(person, fuser, models.chunk_size) for person in people]
    counts = (one.num_images, other.num_images)
    similarity = one.similarity(other)
    _note_unknown(("A", one, given[0] is not None), ("B", other, given[1] is not None))
    decision = _decisions(
        calibration, fuser, _side("A", [one]), _side("B", [other]), one, false_match_rate, None
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
    found = _read_template(person)
    is_given = found is not None
    usability = None
    if found is None:
        images = _read_set(models, person, among.fuser, progress, skipped)
        chosen = models.choose_fuser([images], made_by=among.fuser)
        found = chosen.fuse(images, chunk_size=models.chunk_size)
        usability = _usability(images, chosen, models.chunk_size)
    similarities = TemplateSet.of({"person": found}).similarities(among)[0]
    _note_unknown(("the person", found, is_given), ("the set of templates", among, True))
    fuser = None if found.fuser is None else models.fuser_that_made(found.fuser)
    repeated = [found] * len(among)
    decisions = _decisions(
        calibration,
        fuser,
        _side("the person", repeated),
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
    decisions = _decisions(
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


def _note_unknown(first: tuple[str, _Made, bool], second: tuple[str, _Made, bool]) -> None:
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


def _read_template(side: Side) -> Template | None:
    """The template, or None where the side must be fused first."""
    if isinstance(side, Template):
        return side
    if isinstance(side, str | os.PathLike):
        file, name = split_id(os.fspath(side))
        if name is not None or kind_of(file) in ("template", "templates"):
            return _only_template(os.fspath(side))
    return None


def _read_set(
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


def _of_side(progress: UnitProgress | None, name: str) -> UnitProgress | None:
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


def _fused(
    person: EmbeddingSet | Template, fuser: Fuser | None, chunk_size: int | None
) -> Template:
    if isinstance(person, Template) or fuser is None:
        return person  # type: ignore[return-value]  # where there is a set, a fuser was chosen
    return fuser.fuse(person, chunk_size=chunk_size)


def _usability(
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


def _side(name: str, templates: list[Template]) -> DecidedSide:
    return DecidedSide(
        name=name,
        vectors=np.stack([template.vector for template in templates]),
        num_images=np.array([template.num_images for template in templates]),
    )


@dataclass(frozen=True, kw_only=True)
class _CardDecision:
    """As `Decision`, of a card's thresholds."""

    threshold: Threshold | None
    why_none: str | None
    warnings: tuple[str, ...]


def _decisions(
    given: Calibrated,
    fuser: Fuser | None,
    first: DecidedSide,
    second: DecidedSide,
    made: _Made,
    rate: float,
    search_rate: float | None,
) -> list[Decision] | list[_CardDecision]:
    """What decides about each pair: the calibration, or else the thresholds of the fuser's card."""
    record = find_calibration(given, fuser, made.fuser, made.embedder)
    if record is not None:
        return decide(record, first, second, false_match_rate=rate, false_positive_rate=search_rate)
    counts = np.maximum(first.num_images, second.num_images).tolist()
    return [_of_card(fuser, made.fuser, rate, count, search_rate) for count in counts]


def _of_card(
    fuser: Fuser | None,
    made_by: str | None,
    rate: float,
    num_images: int,
    search_rate: float | None,
) -> _CardDecision:
    """The threshold of the card, if this fuser made the templates."""
    name = made_by or "a fuser not named"
    if search_rate is not None:
        why = f"{name} has no calibration, which a rate of searches needs"
        return _CardDecision(threshold=None, why_none=why, warnings=())
    is_its = fuser is not None and made_by == fuser.fingerprint
    threshold = fuser.threshold_for(rate, num_images) if fuser is not None and is_its else None
    if threshold is None:
        why = f"{name} carries no threshold at FMR {rate:g}"
        return _CardDecision(threshold=None, why_none=why, warnings=())
    return _CardDecision(threshold=threshold, why_none=None, warnings=(_OF_ONE_SIDE,))
