"""Makes a calibration of templates, and measures what its rates come to on people that were not fitted.

Cross-fitting: the people are split in two; the model that was fitted to one half decides about the other,
and the other way round. What is stored with the model, which is fitted to all, are the rates of those two. For
searches they are split in four, and each part is searched by a model of the rest. Intervals are those of
`probefusion.evaluation.rate_tallies`, from the lowest to the highest of all populations and kinds of sets; what other
populations may come to is bounded by `probefusion.evaluation.unlike_populations`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError
from probefusion.evaluation.rate_tallies import (
    ALL,
    Key,
    Tally,
    draw_people,
    look_of,
    tally_comparisons,
)
from probefusion.evaluation.search_evidence import (
    DRAWS,
    FPIRS,
    Searches,
    can_search,
    find_correction,
    search_others,
)
from probefusion.evaluation.unlike_populations import rates_elsewhere, tally_left_out
from probefusion.fusion.calibration import (
    LOOKS,
    CalibrationRecord,
    CalibrationSource,
    MeasuredRate,
    MeasuredSearches,
    ModelRecord,
    SearchCorrection,
    Stratum,
)
from probefusion.fusion.fit_non_mated import Sets, fit_non_mated
from probefusion.fusion.non_mated import Floats
from probefusion.metrics.tails import is_supported, rate_per_comparison

__all__ = ["MIN_PEOPLE", "make_calibration"]

MIN_PEOPLE = 50
"""People of whom a calibration can be made; fewer say nothing of others."""

_LEAST_OF_A_GROUP = 10
"""Errors that must be expected of a population and kind of sets for its interval to count."""

_PARTS = 4
"""Parts of the people, each searched among its own by a model of the others: nearly that which is stored. A model
of half of the people errs more, and what it needed would correct the stored one by too much."""


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
    look = look_of(model, sets, poor)
    draws = draw_people(people, len(is_first), rng)
    comparisons: dict[Key, Tally] = defaultdict(Tally)
    searches: dict[Key, Tally] = defaultdict(Tally)
    for fitted, other in (halves, halves[::-1]):
        half, judged = fit_non_mated(sets.part(fitted), seed=seed), sets.part(other)
        tally_comparisons(half, look, judged, poor[judged.kinds], rates, draws, comparisons)
    elsewhere = rates_elsewhere(tally_left_out(sets, poor, rates, draws, seed=seed), comparisons)
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
                rates=_measured(comparisons, (a, n, b, m), rates, elsewhere),
            )
            for (a, n, b, m), tally in _of_all(comparisons, rates)
        ),
        searches=tuple(
            MeasuredSearches(
                gallery_size=size,
                num_searches=tally.num_trials,
                num_people=len(tally.people),
                rates=_measured(searches, (size,), FPIRS, {}),
            )
            for (size,), tally in _of_all(searches, FPIRS)
        ),
        search_correction=find_correction([each for mine in searched for each in mine]),
    )


def _of_all(tallies: dict[Key, Tally], rates: Sequence[float]) -> list[tuple[Any, Tally]]:
    """What was tallied of all populations together, in order; any rate gives the same trials."""
    return sorted(
        (key[1:-1], tally)
        for key, tally in tallies.items()
        if key[0] == ALL and key[-1] == rates[0] and tally.num_trials
    )


def _measured(
    tallies: Mapping[Key, Tally],
    key: Key,
    rates: Sequence[float],
    elsewhere: Mapping[Key, float],
) -> tuple[MeasuredRate, ...]:
    """The rates that all trials support.

    The interval spans those of all together and of each group: a population, and which of its sides are degraded.
    One of fewer than 10 expected errors has no part: its interval would say nothing but that it is small.
    """
    found = []
    for rate in rates:
        whole = tallies[(ALL, *key, rate)]
        if not is_supported(rate, whole.num_trials):
            continue
        parts = [
            tally
            for other, tally in tallies.items()
            if other[1:] == (*key, rate) and rate * tally.num_trials >= _LEAST_OF_A_GROUP
        ]
        ranges = [tally.rate() for tally in (whole, *parts)]
        unlike = elsewhere.get((*key, rate))
        found.append(
            MeasuredRate(
                stated=rate,
                achieved=float(f"{whole.rate()[0]:.3g}"),
                low=float(f"{min(low for _, low, _ in ranges):.3g}"),
                high=float(f"{max(high for _, _, high in ranges):.3g}"),
                elsewhere=None if unlike is None else float(f"{unlike:.3g}"),
            )
        )
    return tuple(found)


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
    tallies: dict[Key, Tally],
) -> None:
    """Tallies searches with the correction that was found on other people."""
    largest = max((each.gallery_size for each in searched if each.population >= 0), default=0)
    for each in searched:
        whose = {each.population, ALL} if each.gallery_size <= largest else {ALL}
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
