"""Counting errors by value of an attribute, with intervals over people drawn once for all values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from probefusion.metrics.differentials import (
    LEAST_PEOPLE,
    Differential,
    DifferentialErrors,
    ErrorRate,
    GroupedComparisons,
    ValueErrors,
)
from probefusion.metrics.intervals import percentile_interval
from probefusion.metrics.resampling import draw_people
from probefusion.metrics.validation import Counts, Floats, check_rates
from probefusion.metrics.verification import TarAtFar, tar_at_far

__all__ = ["differential_errors"]

_LEVEL = 0.95
_NO_VALUE = -1


def differential_errors(
    comparisons: GroupedComparisons,
    targets: float | Iterable[float],
    *,
    num_replicates: int = 2000,
    seed: int = 0,
    average_per_person: bool = False,
    least_people: int = LEAST_PEOPLE,
) -> tuple[DifferentialErrors, ...]:
    """Error rates by value of an attribute at the common thresholds of given false accept rates.

    Args:
        comparisons: Scores with their values.
        targets: False accept rates in (0, 1], over all comparisons by the budget rule.
        num_replicates: Of the bootstrap over people, at least 100.
        seed: Of the bootstrap.
        average_per_person: Whether FNMR is the mean over people of each person's own, so that people count
            alike. False matches are always counted by comparison.
        least_people: Values of fewer people are marked and not compared.

    Returns:
        One for each rate. A rate that is not resolved has no values.

    Raises:
        InvalidInputError: If there are fewer than 2 people or 100 replicates, or a rate is out of range.

    Example:
        >>> from probefusion.metrics import ComparisonScores
        >>> scores = ComparisonScores.from_subjects(
        ...     [0.9, 0.8, 0.3, 0.7], [0.1, 0.2, 0.5, 0.4],
        ...     mated_subjects=[1, 2, 3, 4], non_mated_subjects=[1, 2, 3, 4],
        ... )
        >>> grouped = GroupedComparisons(
        ...     scores=scores, values=("a", "b"), mated_values=np.array([0, 0, 1, 1]),
        ...     probe_values=np.array([0, 0, 1, 1]), reference_values=np.array([0, 1, 1, 0]),
        ... )
        >>> found, = differential_errors(grouped, 0.25, least_people=2)
        >>> [(entry.value, entry.fnmr.rate, entry.fmr_within.rate) for entry in found.values]
        [('a', 0.0, 0.0), ('b', 0.5, 1.0)]
        >>> found.false_negative.highest.value, found.false_negative.difference
        ('b', 0.5)
    """
    rates = check_rates(targets, name="targets")
    scores = comparisons.scores
    overall = tar_at_far(scores.mated, scores.non_mated, rates)
    resample = draw_people(scores.num_people, num_replicates=num_replicates, seed=seed)
    weights = resample.with_everyone().astype(np.float64)
    tally = _Tally(comparisons)
    return tuple(
        _at_rate(tally, found, weights, average_per_person, least_people) for found in overall
    )


class _Tally:
    """Comparisons counted by value and person: all of them once, the errors for each threshold.

    Values are numbered from 1 and 0 stands for none, so that one count holds them all.
    """

    def __init__(self, comparisons: GroupedComparisons) -> None:
        scores = comparisons.scores
        self.values = comparisons.values
        self._scores = scores
        self._rows = len(self.values) + 1
        self._mated = self._coded(comparisons.mated_values)
        probes = self._coded(comparisons.probe_values)
        references = self._coded(comparisons.reference_values)
        known = (probes > 0) & (references > 0)
        kinds = np.where(known, np.where(probes == references, 0, 1), 2)
        self._cells = kinds * self._rows + probes  # within, across or not known; by value
        self.mated_totals = self._count(self._mated, scores.mated_people, self._rows)
        self.non_mated_totals = self._by_kind(self._cells, scores.non_mated_people)

    def errors(self, threshold: float) -> tuple[Floats, Floats]:
        """False non-matches (V + 1, K), and false matches (3, V + 1, K) within, across and not known."""
        scores = self._scores
        limit = np.array([threshold], dtype=np.float64)
        missed = scores.mated < limit
        accepted = np.flatnonzero(scores.non_mated >= limit)
        return (
            self._count(self._mated[missed], scores.mated_people[missed], self._rows),
            self._by_kind(self._cells[accepted], scores.non_mated_people[accepted]),
        )

    def _coded(self, positions: npt.NDArray[np.integer]) -> Counts:
        return np.maximum(np.asarray(positions, np.int64), _NO_VALUE) + 1

    def _by_kind(self, cells: Counts, people: Counts) -> Floats:
        return self._count(cells, people, 3 * self._rows).reshape(3, self._rows, -1)

    def _count(self, cells: Counts, people: Counts, num_cells: int) -> Floats:
        size = self._scores.num_people
        counts = np.bincount(cells * size + people, minlength=num_cells * size)
        return counts.reshape(num_cells, size).astype(np.float64)


def _at_rate(
    tally: _Tally,
    overall: TarAtFar,
    weights: Floats,
    average_per_person: bool,
    least_people: int,
) -> DifferentialErrors:
    if not overall.resolved:
        return DifferentialErrors(
            overall=overall, values=(), unknown=None, false_negative=None, false_positive=None
        )
    missed, accepted = tally.errors(overall.threshold)
    found, curves = [], []
    for row, value in enumerate(("", *tally.values)):
        fnmr = _replicates(missed[row], tally.mated_totals[row], weights, average_per_person)
        within, across = (
            _replicates(accepted[kind, row], tally.non_mated_totals[kind, row], weights, False)
            for kind in (0, 1)
        )
        mated = _error_rate(missed[row], tally.mated_totals[row], fnmr)
        found.append(
            ValueErrors(
                value=value,
                fnmr=mated,
                fmr_within=_error_rate(accepted[0, row], tally.non_mated_totals[0, row], within),
                fmr_across=_error_rate(accepted[1, row], tally.non_mated_totals[1, row], across),
                num_reference_unknown=int(tally.non_mated_totals[2, row].sum()),
                is_few=mated.num_people < least_people,
            )
        )
        curves.append((fnmr, within))
    unknown = found[0]
    has_unknown = unknown.fnmr.num_comparisons + unknown.num_reference_unknown > 0
    return DifferentialErrors(
        overall=overall,
        values=tuple(found[1:]),
        unknown=unknown if has_unknown else None,
        false_negative=_furthest(
            found[1:], [entry.fnmr.rate for entry in found[1:]], [fnmr for fnmr, _ in curves[1:]]
        ),
        false_positive=_furthest(
            found[1:],
            [entry.fmr_within.rate for entry in found[1:]],
            [within for _, within in curves[1:]],
        ),
    )


def _replicates(errors: Floats, totals: Floats, weights: Floats, average: bool) -> Floats:
    """The rate of everybody, then of each replicate; NaN where nobody with a comparison was drawn."""
    if average:
        errors = errors / np.maximum(totals, 1)
        totals = (totals > 0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates: Floats = (weights @ errors) / (weights @ totals)
    return rates


def _error_rate(errors: Floats, totals: Floats, replicates: Floats) -> ErrorRate:
    people = int(np.count_nonzero(totals))
    low, high = percentile_interval(replicates[1:], _LEVEL) if people > 1 else (math.nan, math.nan)
    return ErrorRate(
        rate=float(replicates[0]),
        low=low,
        high=high,
        num_errors=int(errors.sum()),
        num_comparisons=int(totals.sum()),
        num_people=people,
    )


def _furthest(
    values: Sequence[ValueErrors], rates: Sequence[float], replicates: Sequence[Floats]
) -> Differential | None:
    """The highest and the lowest rate among values of enough people; of equal ones the first."""
    places = [
        place
        for place, (entry, rate) in enumerate(zip(values, rates, strict=True))
        if not entry.is_few and not math.isnan(rate)
    ]
    if len(places) < 2:
        return None
    highest = max(places, key=lambda place: rates[place])
    lowest = min((place for place in places if place != highest), key=lambda place: rates[place])
    low, high = percentile_interval(replicates[highest][1:] - replicates[lowest][1:], _LEVEL)
    return Differential(
        highest=values[highest],
        lowest=values[lowest],
        difference=rates[highest] - rates[lowest],
        low=low,
        high=high,
        ratio=rates[highest] / rates[lowest] if rates[lowest] > 0 else None,
    )
