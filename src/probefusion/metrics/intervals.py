"""Confidence intervals: bootstrap over people, and Wilson's interval for plain proportions.

Why people: scores of one person are alike, so that 500,000 comparisons of 250 people say as much
about new people as 250 people do. Resampling pairs would give intervals several times too narrow.

Definition of the interval. The people whose probes were compared are drawn with replacement, as many
as there are; all comparisons of a person's probes come along, as often as the person was drawn; the
metric, its threshold included, is computed anew. The interval is from the alpha/2 to the
1 - alpha/2 quantile of the replicates (percentile interval, linear interpolation between order
statistics), alpha = 1 - level. The gallery is not resampled: the interval is about other probe
people against the same gallery.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.metrics.resampling import draw_people, weighted_means, weighted_tars
from probefusion.metrics.scores import ComparisonScores
from probefusion.metrics.validation import (
    Floats,
    check_count,
    check_fraction,
    check_labels,
    check_rates,
    check_scores,
    error_budget,
)

__all__ = [
    "BootstrapInterval",
    "ProportionInterval",
    "bootstrap_mean_over_people",
    "bootstrap_over_people",
    "percentile_interval",
    "wilson_interval",
]


@dataclass(frozen=True, kw_only=True)
class BootstrapInterval:
    """A metric with its bootstrap interval over people.

    Args:
        estimate: The metric on all people; NaN where the target is not resolved.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Confidence level, such as 0.95.
        target: The false accept rate it belongs to, or None.
        resolved: Whether that rate can be measured with so many comparisons.
        num_people: How many people were resampled.
        num_replicates: How many replicates were drawn.
        num_undefined: Replicates without a value (nobody with a mated score drawn), left out.
        seed: Of the resampling.
    """

    estimate: float
    low: float
    high: float
    level: float
    target: float | None
    resolved: bool
    num_people: int
    num_replicates: int
    num_undefined: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class ProportionInterval:
    """A proportion with Wilson's score interval.

    Args:
        estimate: num_successes / num_trials.
        low: Lower end, >= 0.
        high: Upper end, <= 1.
        level: Confidence level.
        num_successes: Number of successes.
        num_trials: Number of independent trials.
    """

    estimate: float
    low: float
    high: float
    level: float
    num_successes: int
    num_trials: int


def bootstrap_over_people(
    scores: ComparisonScores,
    targets: float | Iterable[float],
    *,
    num_replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average_per_person: bool = False,
) -> tuple[BootstrapInterval, ...]:
    """TAR at given FARs with intervals by bootstrap over the probe people.

    In each replicate the threshold is determined anew by the budget rule of `tar_at_far`, exactly, on
    the resampled non-mated scores. A budget that falls to 0 in a replicate accepts no false one
    there; a target that is not resolved on all people has no interval (NaN). For TPIR at FPIR give
    `SearchOutcomes.as_comparison_scores()`.

    With every mated score accepted in all replicates the interval is [1, 1]: too short, as any
    bootstrap of a proportion of 1 is. `wilson_interval` over people is then the better statement.

    Args:
        scores: Mated and non-mated scores with their probe people; several probe sets of a person are
            put together with `ComparisonScores.concatenate`.
        targets: False accept rates in (0, 1], one or several.
        num_replicates: At least 100.
        seed: Of the resampling.
        level: Confidence level between 0 and 1.
        average_per_person: If True, TAR is the mean over people of each person's share of mated
            scores accepted, so that a person with many probe sets counts once. If False, every mated
            comparison counts once. The threshold is that of all comparisons in both cases.

    Returns:
        One interval for each target.

    Raises:
        InvalidInputError: If there are fewer than 2 people or 100 replicates, or a number is out of
            range.
        EmptySetError: If there are no targets.

    Example:
        >>> scores = ComparisonScores.from_subjects(
        ...     [0.9, 0.8, 0.3, 0.7], np.linspace(0, 0.5, 40),
        ...     mated_subjects=[1, 2, 3, 4], non_mated_subjects=[1, 2, 3, 4] * 10,
        ... )
        >>> found, = bootstrap_over_people(scores, 0.1)
        >>> found.estimate, found.high, found.low < found.estimate
        (0.75, 1.0, True)
    """
    rates = check_rates(targets, name="targets")
    level = check_fraction(level, name="level")
    resample = draw_people(scores.num_people, num_replicates=num_replicates, seed=seed)
    tars = weighted_tars(
        scores, rates, resample.with_everyone(), average_per_person=average_per_person
    )
    return tuple(
        _interval(
            estimate=float(column[0]),
            replicates=column[1:],
            level=level,
            target=rate,
            resolved=error_budget(rate, len(scores.non_mated)) > 0,
            num_people=scores.num_people,
            seed=resample.seed,
        )
        for rate, column in zip(rates, tars.T, strict=True)
    )


def bootstrap_mean_over_people(
    values: npt.ArrayLike,
    subjects: npt.ArrayLike,
    *,
    num_replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average_per_person: bool = False,
) -> BootstrapInterval:
    """The mean of one value for each probe, with an interval by bootstrap over people.

    For anything that is a mean over probes and has no threshold to be found: rank-1 identification
    (1 for a hit, 0 for a miss), FNMR at a fixed threshold.

    Args:
        values: (n,) finite.
        subjects: (n,) person of each value, integers or texts.
        num_replicates: At least 100.
        seed: Of the resampling.
        level: Confidence level between 0 and 1.
        average_per_person: Whether a person's values are averaged first, so that each person counts
            once.

    Returns:
        The mean with its interval.

    Raises:
        EmptySetError: If there are no values.
        InvalidInputError: If there are fewer than 2 people or 100 replicates, or a number is out of
            range.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.

    Example:
        >>> found = bootstrap_mean_over_people([1, 1, 0, 1], ["ann", "bob", "cid", "dot"])
        >>> found.estimate, found.num_people
        (0.75, 4)
    """
    array = check_scores(values, name="values", allow_failures=False).astype(np.float64)
    level = check_fraction(level, name="level")
    people, positions = np.unique(
        check_labels(subjects, len(array), name="subjects"), return_inverse=True
    )
    resample = draw_people(len(people), num_replicates=num_replicates, seed=seed)
    means = weighted_means(
        array, positions, resample.with_everyone(), average_per_person=average_per_person
    )
    return _interval(
        estimate=float(means[0]),
        replicates=means[1:],
        level=level,
        target=None,
        resolved=True,
        num_people=len(people),
        seed=resample.seed,
    )


def _interval(
    *,
    estimate: float,
    replicates: Floats,
    level: float,
    target: float | None,
    resolved: bool,
    num_people: int,
    seed: int,
) -> BootstrapInterval:
    low, high = percentile_interval(replicates, level) if resolved else (math.nan, math.nan)
    return BootstrapInterval(
        estimate=estimate if resolved else math.nan,
        low=low,
        high=high,
        level=level,
        target=target,
        resolved=resolved,
        num_people=num_people,
        num_replicates=len(replicates),
        num_undefined=int(np.count_nonzero(np.isnan(replicates))),
        seed=seed,
    )


def percentile_interval(replicates: Floats, level: float) -> tuple[float, float]:
    """The central `level` of the replicates that have a value.

    Args:
        replicates: (R,) float64; NaN is left out.
        level: Between 0 and 1.

    Returns:
        Lower and upper end.

    Example:
        >>> [round(end, 6) for end in percentile_interval(np.arange(101.0), 0.9)]
        [5.0, 95.0]
    """
    tail = (1 - level) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(
    num_successes: int, num_trials: int, *, level: float = 0.95
) -> ProportionInterval:
    """Wilson's score interval for a proportion of independent trials.

    With p = s/n and z the (1 + level)/2 quantile of the normal distribution: centre
    (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n). It keeps a
    length where all trials succeed. Trials of one person are not independent: count people.

    Args:
        num_successes: From 0 to `num_trials`.
        num_trials: At least 1.
        level: Confidence level between 0 and 1.

    Returns:
        The proportion with its interval.

    Raises:
        InvalidInputError: If a number is out of range.
        DtypeError: If a count is not an integer.

    Example:
        >>> found = wilson_interval(250, 250)
        >>> round(found.low, 4), found.high
        (0.9849, 1.0)
    """
    trials = check_count(num_trials, name="num_trials", minimum=1)
    successes = check_count(num_successes, name="num_successes", minimum=0)
    if successes > trials:
        raise InvalidInputError(
            f"num_successes: expected at most num_trials ({trials}), got {successes}."
        )
    level = check_fraction(level, name="level")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    scale = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / scale
    return ProportionInterval(
        estimate=share,
        low=0.0 if successes == 0 else max(0.0, centre - half),
        high=1.0 if successes == trials else min(1.0, centre + half),
        level=level,
        num_successes=successes,
        num_trials=trials,
    )
