"""Makes a calibration of templates, and measures what its rates come to on people that were not fitted.

Cross-fitting: the people are split in two; the model that was fitted to one half decides about the other,
and the other way round. What is stored with the model, which is fitted to all, are the rates of those two. For
searches they are split in four, and each part is searched by a model of the rest.
Intervals: 95 % percentile intervals of 300 bootstrap replicates that draw people, not pairs: both sides of a
comparison are weighted by how often their people were drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError
from probefusion.evaluation.search_evidence import (
    DRAWS,
    FPIRS,
    Searches,
    can_search,
    find_correction,
    search_others,
)
from probefusion.fusion.calibration import (
    LOOKS,
    CalibrationRecord,
    CalibrationSource,
    MeasuredRate,
    MeasuredSearches,
    ModelRecord,
    SearchCorrection,
    Stratum,
    poorness,
)
from probefusion.fusion.fit_non_mated import Sets, fit_non_mated
from probefusion.fusion.non_mated import Floats, NonMatedModel
from probefusion.metrics.tails import is_supported, rate_per_comparison

__all__ = ["MIN_PEOPLE", "make_calibration"]

MIN_PEOPLE = 50
"""People of whom a calibration can be made; fewer say nothing of others."""

_REPLICATES = 300

_PARTS = 4
"""Parts of the people, each searched among its own by a model of the others: nearly that which is stored. A model
of half of the people errs more, and what it needed would correct the stored one by too much."""

Whole: TypeAlias = npt.NDArray[np.int64]
_Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """How looks are told: which kinds are poor, and from where on a template looks so."""

    are_poor: npt.NDArray[np.bool_]
    border: float


class _Tally:
    """Errors and trials of one kind of comparison, with those of the bootstrap replicates."""

    def __init__(self) -> None:
        self.errors = np.zeros(1 + _REPLICATES)
        self.trials = np.zeros(1 + _REPLICATES)
        self.people: set[int] = set()

    def add(self, errors: Floats, trials: Floats, people: Whole) -> None:
        self.errors += errors
        self.trials += trials
        self.people.update(people.tolist())

    @property
    def num_trials(self) -> int:
        return int(self.trials[0])

    def rate(self) -> tuple[float, float, float]:
        """Rate and its interval."""
        drawn = self.errors[1:] / np.maximum(self.trials[1:], 1e-12)
        low, high = np.quantile(drawn, [0.025, 0.975])
        rate = float(self.errors[0] / self.trials[0])
        return rate, min(float(low), rate), max(float(high), rate, 3 / self.num_trials)


def make_calibration(
    sets: Sets,
    are_poor: Sequence[bool],
    *,
    embedder: str,
    fuser: str,
    protocol: str,
    sources: Sequence[CalibrationSource],
    rates: Sequence[float],
    seed: int = 0,
) -> CalibrationRecord:
    """Fits the model to all, and measures it by cross-fitting.

    Args:
        sets: Templates; `kinds` number the kinds from 0, without a gap.
        are_poor: Which kinds are of degraded sets; at least one is, and one is not.
        embedder: Fingerprint of the embedder.
        fuser: Fingerprint of the fuser.
        protocol: How the sets were made.
        sources: The people, population by population.
        rates: False match rates that are measured.
        seed: Of the halves, the pairs and the replicates.

    Raises:
        EmptySetError: If there are fewer than `MIN_PEOPLE` people, or a kind of set is of too few of them.
    """
    people = np.unique(sets.people)
    if len(people) < MIN_PEOPLE:
        raise EmptySetError(
            f"data: expected at least {MIN_PEOPLE} people who are not related, got {len(people)}. Give more "
            f"people; images of others without a label will do, one file each."
        )
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(people)
    is_first = np.zeros(sets.people.max() + 1, dtype=bool)
    is_first[mixed[: len(people) // 2]] = True
    part_of = np.zeros(len(is_first), dtype=np.int64)
    part_of[mixed] = np.arange(len(mixed)) % _PARTS
    part = part_of[sets.people]
    halves = [np.flatnonzero(is_first[sets.people] == half) for half in (True, False)]
    poor = np.asarray(are_poor, dtype=bool)
    if any(len(np.unique(sets.kinds[half])) < len(poor) for half in halves):
        raise EmptySetError(
            "data: expected sets of every kind, as they are and degraded, of people in both halves that are compared "
            "in turn, got some in one half alone. Degrade those of more people: --poor-people (num_poor), or give "
            "more people."
        )
    model = fit_non_mated(sets, seed=seed)
    look = _Look(are_poor=poor, border=_border(model, sets, poor))
    draws = np.concatenate(
        [
            np.ones((1, len(is_first))),
            rng.multinomial(len(people), _chances(people, len(is_first)), size=_REPLICATES),
        ]
    )
    comparisons: dict[_Key, _Tally] = defaultdict(_Tally)
    searches: dict[_Key, _Tally] = defaultdict(_Tally)
    for fitted, other in (halves, halves[::-1]):
        half = fit_non_mated(sets.part(fitted), seed=seed)
        _compare(half, look, sets.part(other), rates, draws, comparisons)
    searched = [
        _searches_of(sets, part == number, poor, seed=seed, rng=rng) for number in range(_PARTS)
    ]
    for number, mine in enumerate(searched):
        others = [each for place, rest in enumerate(searched) if place != number for each in rest]
        _tally_searches(mine, find_correction(others), draws, searches)
    return CalibrationRecord(
        embedder=embedder,
        fuser=fuser,
        sets=protocol,
        sizes=tuple(int(size) for size in np.unique(sets.num_images)),
        sources=tuple(sources),
        model=ModelRecord.of(model, poor, look.border),
        strata=tuple(
            Stratum(
                looks=(LOOKS[a], LOOKS[b]),
                num_images=(n, m),
                num_people=len(tally.people),
                num_comparisons=tally.num_trials,
                rates=_measured(comparisons, (a, n, b, m), rates),
            )
            for (a, n, b, m), tally in _of_all(comparisons, rates)
        ),
        searches=tuple(
            MeasuredSearches(
                gallery_size=size,
                num_searches=tally.num_trials,
                num_people=len(tally.people),
                rates=_measured(searches, (size,), FPIRS),
            )
            for (size,), tally in _of_all(searches, FPIRS)
        ),
        search_correction=find_correction([each for mine in searched for each in mine]),
    )


def _of_all(tallies: dict[_Key, _Tally], rates: Sequence[float]) -> list[tuple[Any, _Tally]]:
    """What was tallied of all populations together, in order; any rate gives the same trials."""
    return sorted(
        (key[1:-1], tally)
        for key, tally in tallies.items()
        if key[0] == -1 and key[-1] == rates[0] and tally.num_trials
    )


def _measured(
    tallies: dict[_Key, _Tally], key: _Key, rates: Sequence[float]
) -> tuple[MeasuredRate, ...]:
    """The rates that all trials support; the interval spans those of the populations that support them."""
    found = []
    for rate in rates:
        whole = tallies[(-1, *key, rate)]
        if not is_supported(rate, whole.num_trials):
            continue
        parts = [
            tally
            for other, tally in tallies.items()
            if other[1:] == (*key, rate) and is_supported(rate, tally.num_trials)
        ]
        ranges = [tally.rate() for tally in parts]
        found.append(
            MeasuredRate(
                stated=rate,
                achieved=float(f"{whole.rate()[0]:.3g}"),
                low=float(f"{min(low for _, low, _ in ranges):.3g}"),
                high=float(f"{max(high for _, _, high in ranges):.3g}"),
            )
        )
    return tuple(found)


def _chances(people: Whole, length: int) -> Floats:
    chances = np.zeros(length)
    chances[people] = 1 / len(people)
    return chances


def _border(model: NonMatedModel, sets: Sets, are_poor: npt.NDArray[np.bool_]) -> float:
    found = poorness(sets.vectors @ model.directions.T, are_poor)
    is_poor = are_poor[sets.kinds]
    return float((found[is_poor].mean() + found[~is_poor].mean()) / 2)


def _looks(model: NonMatedModel, look: _Look, sets: Sets) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (
        poorness(sets.vectors @ model.directions.T, look.are_poor) >= look.border
    )
    return found


def _compare(
    model: NonMatedModel,
    look: _Look,
    sets: Sets,
    rates: Sequence[float],
    draws: Floats,
    tallies: dict[_Key, _Tally],
) -> None:
    """Tallies the comparisons of these people, population by population and stratum by stratum."""
    looks = _looks(model, look, sets)
    terms = model.terms(sets.vectors, sets.num_images)
    for population in np.unique(sets.populations):
        cells = {
            (poor, int(size)): np.flatnonzero(
                (sets.populations == population) & (looks == poor) & (sets.num_images == size)
            )
            for poor in (0, 1)
            for size in np.unique(sets.num_images)
        }
        for (first, rows), (second, others) in combinations_with_replacement(cells.items(), 2):
            if len(rows) == 0 or len(others) == 0:
                continue
            apart = sets.different(rows, others)
            if first == second:
                apart = np.triu(apart, 1)
            trials = _weighted_count(sets, rows, others, apart, draws)
            similarities = sets.vectors[rows] @ sets.vectors[others].T
            people = np.union1d(sets.people[rows], sets.people[others])
            limits = model.thresholds(terms[rows], terms[others], rates)
            for rate, wanted in zip(rates, limits, strict=True):
                a, b = np.nonzero((similarities >= wanted) & apart)
                errors = np.einsum(
                    "rm,rm->r",
                    draws[:, sets.people[rows[a]]],
                    draws[:, sets.people[others[b]]],
                )
                for whose in (int(population), -1):
                    tallies[(whose, *first, *second, rate)].add(errors, trials, people)


def _weighted_count(
    sets: Sets, rows: Whole, others: Whole, apart: npt.NDArray[Any], draws: Floats
) -> Floats:
    """Comparisons in each replicate; those that are left out count by their share of all."""
    pairs = draws[:, sets.people[rows]].sum(axis=1) * draws[:, sets.people[others]].sum(axis=1)
    found: Floats = pairs * (np.count_nonzero(apart) / pairs[0])
    return found


def _searches_of(
    sets: Sets,
    chosen: npt.NDArray[np.bool_],
    are_poor: npt.NDArray[np.bool_],
    *,
    seed: int,
    rng: np.random.Generator,
) -> list[Searches]:
    """Searches of a part of the people by a model of the others; none where no gallery can be made of them."""
    part = sets.part(np.flatnonzero(chosen))
    if not can_search(part, are_poor):
        return []
    model = fit_non_mated(sets.part(np.flatnonzero(~chosen)), seed=seed)
    return search_others(model, part, are_poor, rng)


def _tally_searches(
    searched: Sequence[Searches],
    correction: SearchCorrection | None,
    draws: Floats,
    tallies: dict[_Key, _Tally],
) -> None:
    """Tallies searches with the correction that was found on other people."""
    largest = max((each.gallery_size for each in searched if each.population >= 0), default=0)
    for each in searched:
        whose = {each.population, -1} if each.gallery_size <= largest else {-1}
        for rate in FPIRS:
            asked = (
                rate_per_comparison(rate, each.gallery_size)
                if correction is None
                else correction.asked(rate, each.gallery_size)
            )
            hit = each.log_rates <= np.log(asked)
            errors = draws[:, each.people[hit]].sum(axis=1) / DRAWS
            trials = draws[:, each.people].sum(axis=1) / DRAWS
            for key in whose:
                tallies[(key, each.gallery_size, rate)].add(errors, trials, each.people)
