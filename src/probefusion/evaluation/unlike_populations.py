"""What stated rates may come to among people of a kind that was not measured.

Each population in turn is left out: a model of the others decides about it, at rates that are corrected by what the
others needed. By how much the logarithm of the rate it comes to lies above that of the stated one varies from one
population to another. Of K of them with mean m and standard deviation s, the next one lies below
m + t(K - 1) s sqrt(1 + 1 / K) with a probability of 95 %, if it is drawn as they were and the logarithms are normal.
Of few populations that is a wide bound, as it must be. Of fewer than three there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.rate_tallies import ALL, Key, Tally, look_of, tally_comparisons
from probefusion.fusion.fit_non_mated import Sets, fit_non_mated
from probefusion.fusion.non_mated import Floats
from probefusion.fusion.rate_basis import MOST_CORRECTED
from probefusion.metrics.tails import is_supported

__all__ = ["LEAST_POPULATIONS", "bound_elsewhere", "rates_elsewhere", "tally_left_out"]

LEAST_POPULATIONS = 3
"""Fewer say nothing of how much a further one may differ."""

_LEAST_ERRORS = 10
"""A population of fewer expected errors in a stratum counts there as it does in all strata together."""

_T95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
"""The 95 % quantiles of Student's t of 1 to 10 degrees of freedom."""


def bound_elsewhere(deviations: Sequence[float]) -> float:
    """The upper 95 % bound of a further deviation that is drawn as these were.

    Args:
        deviations: At least two numbers.

    Example:
        >>> round(bound_elsewhere([0.0, 1.0, 2.0, 1.0]), 3)
        3.148
    """
    count = len(deviations)
    quantile = _T95[count - 2] if count - 2 < len(_T95) else 1.645 + 1.65 / (count - 1)
    spread = float(np.std(deviations, ddof=1)) * np.sqrt(1 + 1 / count)
    return float(np.mean(deviations) + quantile * spread)


def tally_left_out(
    sets: Sets,
    are_poor: npt.NDArray[np.bool_],
    rates: Sequence[float],
    draws: Floats,
    *,
    seed: int,
) -> dict[Key, Tally]:
    """Tallies each population by a model of the others; nothing where there are too few of them.

    Arguments as for `probefusion.evaluation.threshold_evidence.make_calibration`, and `draws` as for
    `tally_comparisons`.
    """
    tallies: dict[Key, Tally] = defaultdict(Tally)
    populations = np.unique(sets.populations)
    if len(populations) < LEAST_POPULATIONS:
        return tallies
    for population in populations:
        is_left_out = sets.populations == population
        rest, left_out = (sets.part(np.flatnonzero(part)) for part in (~is_left_out, is_left_out))
        used, kinds = np.unique(rest.kinds, return_inverse=True)
        poor = are_poor[used]
        if poor.all() or not poor.any():
            continue  # looks cannot be told
        rest = Sets(**{**vars(rest), "kinds": kinds})
        model = fit_non_mated(rest, seed=seed)
        look = look_of(model, rest, poor)
        tally_comparisons(model, look, left_out, are_poor[left_out.kinds], rates, draws, tallies)
    return tallies


def rates_elsewhere(left_out: Mapping[Key, Tally], others: Mapping[Key, Tally]) -> dict[Key, float]:
    """The bound in each stratum, by stratum and stated rate.

    Args:
        left_out: What each population came to by a model of the others.
        others: What it and the others came to by models of all of them, of other people.
    """
    seen: dict[Key, dict[int, Floats]] = defaultdict(lambda: defaultdict(lambda: np.zeros(2)))
    for (group, *stratum, rate), tally in left_out.items():
        if group != ALL:
            expected = tally.trials[0] * _asked(others, group[0], stratum, rate)
            seen[(*stratum, rate)][group[0]] += (tally.errors[0], expected)
    together: dict[float, dict[int, Floats]] = defaultdict(lambda: defaultdict(lambda: np.zeros(2)))
    for (*_, rate), populations in seen.items():
        for population, own in populations.items():
            together[rate][population] += own
    found = {}
    for key, populations in seen.items():
        whole = {
            population: counts
            for population, counts in together[key[-1]].items()
            if counts[1] >= _LEAST_ERRORS
        }
        if len(whole) < LEAST_POPULATIONS:
            continue
        deviations = []
        for population, counts in whole.items():
            own = populations.get(population, counts)
            errors, expected = own if own[1] >= _LEAST_ERRORS else counts
            deviations.append(float(np.log((errors + 0.5) / (expected + 0.5))))
        bound = bound_elsewhere(deviations)
        found[key] = float(min(1.0, key[-1] * np.exp(bound)))
    return found


def _asked(
    others: Mapping[Key, Tally], population: int, stratum: Sequence[int], rate: float
) -> float:
    """The rate that the model of the others reaches where it is asked for this one: by it the counts are corrected."""
    errors = trials = 0.0
    for group_poor in ((False, False), (False, True), (True, True)):
        for other in {key[0][0] for key in others if key[0] != ALL} - {population}:
            tally = others.get(((other, group_poor), *stratum, rate))
            if tally is not None:
                errors += float(tally.errors[0])
                trials += float(tally.trials[0])
    if not is_supported(rate, int(trials)):
        return rate
    return float(np.clip(errors / trials, rate / MOST_CORRECTED, rate * MOST_CORRECTED))
