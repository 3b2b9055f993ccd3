"""Comparing two fusers on the same people: paired differences with intervals and p-values.

Definitions. Both sides are resampled with the same weights of people, so that each replicate is a
difference on the same people. Its interval is the percentile interval of `intervals`. The
p-value of "no difference" is two-sided and inverts that interval:
2 * min((1 + #{d* <= 0}) / (R + 1), (1 + #{d* >= 0}) / (R + 1)), at most 1. Replicates with no
difference count on both sides; those of less than 1e-12 are rounding and count as none. The smallest
p-value possible is 2 / (R + 1).
Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, ch. 4-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import EmptySetError, MismatchError, ShapeError
from probefusion.metrics.intervals import percentile_interval
from probefusion.metrics.resampling import draw_people, weighted_means, weighted_tars
from probefusion.metrics.scores import ComparisonScores
from probefusion.metrics.validation import (
    Floats,
    check_fraction,
    check_labels,
    check_rates,
    check_scores,
    error_budget,
)

__all__ = [
    "ROUNDING",
    "PairedDifference",
    "average_differences",
    "compare_means_over_people",
    "compare_over_people",
]

ROUNDING = 1e-12
"""Differences smaller than this are rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedDifference:
    """The difference of a metric between two fusers, first minus second, on the same people.

    Args:
        difference: first - second; NaN where the target is not resolved.
        low: Lower end of its interval.
        high: Upper end of its interval.
        p_value: Two-sided, of "no difference" (module docstring).
        first: The metric of the first fuser.
        second: The metric of the second fuser.
        level: Confidence level.
        target: The false accept rate it belongs to, or None.
        resolved: Whether that rate can be measured with so many comparisons.
        num_people: How many people were resampled.
        num_replicates: How many replicates were drawn.
        num_undefined: Replicates without a value, left out.
        seed: Of the resampling.
        replicates: (R,) float64, the differences; read-only.
    """

    difference: float
    low: float
    high: float
    p_value: float
    first: float
    second: float
    level: float
    target: float | None
    resolved: bool
    num_people: int
    num_replicates: int
    num_undefined: int
    seed: int
    replicates: Floats = field(repr=False)


def compare_over_people(
    first: ComparisonScores,
    second: ComparisonScores,
    targets: float | Iterable[float],
    *,
    num_replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average_per_person: bool = False,
) -> tuple[PairedDifference, ...]:
    """The difference of TAR at given FARs between two fusers, by paired bootstrap over people.

    Each side has its own threshold, determined anew in each replicate. See `bootstrap_over_people`
    for the resampling and for TPIR at FPIR.

    Args:
        first: Scores of the first fuser.
        second: Scores of the second fuser on the same probe sets: same people, same number of
            mated and of non-mated comparisons of each.
        targets: False accept rates in (0, 1], one or several.
        num_replicates: At least 100.
        seed: Of the resampling.
        level: Confidence level between 0 and 1.
        average_per_person: Whether a person's mated scores are averaged first.

    Returns:
        One difference for each target.

    Raises:
        MismatchError: If the two sides are not of the same people and comparisons.
        InvalidInputError: If there are fewer than 2 people or 100 replicates, or a number is out of
            range.
        EmptySetError: If there are no targets.

    Example:
        >>> people = dict(mated_subjects=[1, 2, 3, 4], non_mated_subjects=[1, 2, 3, 4] * 10)
        >>> others = np.linspace(0, 0.5, 40)
        >>> good = ComparisonScores.from_subjects([0.9, 0.8, 0.6, 0.7], others, **people)
        >>> poor = ComparisonScores.from_subjects([0.9, 0.8, 0.3, 0.2], others, **people)
        >>> found, = compare_over_people(good, poor, 0.1)
        >>> found.difference, found.low <= 0.5 <= found.high
        (0.5, True)
    """
    first.check_paired(second)
    rates = check_rates(targets, name="targets")
    level = check_fraction(level, name="level")
    resample = draw_people(first.num_people, num_replicates=num_replicates, seed=seed)
    weights = resample.with_everyone()
    one, two = (
        weighted_tars(side, rates, weights, average_per_person=average_per_person)
        for side in (first, second)
    )
    return tuple(
        _difference(
            first=float(one[0, column]),
            second=float(two[0, column]),
            replicates=one[1:, column] - two[1:, column],
            level=level,
            target=rate,
            resolved=error_budget(rate, len(first.non_mated)) > 0,
            num_people=first.num_people,
            seed=resample.seed,
        )
        for column, rate in enumerate(rates)
    )


def compare_means_over_people(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    subjects: npt.ArrayLike,
    *,
    num_replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average_per_person: bool = False,
) -> PairedDifference:
    """The difference of a mean over probes between two fusers, by paired bootstrap over people.

    Args:
        first: (n,) finite, one value for each probe (1 for a rank-1 hit, 0 for a miss, say).
        second: (n,) finite, values of the same probes in the same order.
        subjects: (n,) person of each probe, integers or texts.
        num_replicates: At least 100.
        seed: Of the resampling.
        level: Confidence level between 0 and 1.
        average_per_person: Whether a person's values are averaged first.

    Returns:
        The difference.

    Raises:
        EmptySetError: If there are no values.
        InvalidInputError: If there are fewer than 2 people or 100 replicates, or a number is out of
            range.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.

    Example:
        >>> found = compare_means_over_people([1, 1, 1], [1, 0, 1], ["ann", "bob", "cid"])
        >>> round(found.difference, 3), found.low
        (0.333, 0.0)
    """
    one = check_scores(first, name="first", allow_failures=False).astype(np.float64)
    two = check_scores(second, name="second", allow_failures=False).astype(np.float64)
    if len(one) != len(two):
        raise ShapeError(
            f"second: expected one value for each of first ({len(one)}), got {len(two)}."
        )
    level = check_fraction(level, name="level")
    people, positions = np.unique(
        check_labels(subjects, len(one), name="subjects"), return_inverse=True
    )
    resample = draw_people(len(people), num_replicates=num_replicates, seed=seed)
    weights = resample.with_everyone()
    means = [
        weighted_means(side, positions, weights, average_per_person=average_per_person)
        for side in (one, two)
    ]
    return _difference(
        first=float(means[0][0]),
        second=float(means[1][0]),
        replicates=means[0][1:] - means[1][1:],
        level=level,
        target=None,
        resolved=True,
        num_people=len(people),
        seed=resample.seed,
    )


def average_differences(differences: Sequence[PairedDifference]) -> PairedDifference:
    """The mean of differences of one resampling, as over the training seeds of a fuser.

    Replicate r of the mean is the mean of the replicates r, so that interval and p-value hold people
    together across seeds. A replicate undefined in one is undefined in the mean.

    Args:
        differences: Of the same people, target, level, seed and number of replicates.

    Returns:
        Their mean.

    Raises:
        EmptySetError: If there are none.
        MismatchError: If they were not resampled alike.

    Example:
        >>> one = compare_means_over_people([1, 0, 1], [0, 0, 1], [1, 2, 3])
        >>> two = compare_means_over_people([1, 1, 1], [0, 0, 1], [1, 2, 3])
        >>> round(average_differences([one, two]).difference, 3)
        0.5
    """
    if not differences:
        raise EmptySetError("differences: expected at least one, got none.")
    head = differences[0]
    facts = ("target", "level", "seed", "num_people", "num_replicates", "resolved")
    for other in differences[1:]:
        unlike = [name for name in facts if getattr(other, name) != getattr(head, name)]
        if unlike:
            raise MismatchError(
                f"differences: expected one resampling for all, got different {', '.join(unlike)}. "
                f"Compare all seeds with the same settings."
            )
    return _difference(
        first=float(np.mean([entry.first for entry in differences])),
        second=float(np.mean([entry.second for entry in differences])),
        replicates=np.mean([entry.replicates for entry in differences], axis=0),
        level=head.level,
        target=head.target,
        resolved=head.resolved,
        num_people=head.num_people,
        seed=head.seed,
    )


def _difference(
    *,
    first: float,
    second: float,
    replicates: Floats,
    level: float,
    target: float | None,
    resolved: bool,
    num_people: int,
    seed: int,
) -> PairedDifference:
    low = high = p_value = math.nan
    if resolved:
        low, high = percentile_interval(replicates, level)
        p_value = _two_sided_p(replicates)
    return PairedDifference(
        difference=first - second if resolved else math.nan,
        low=low,
        high=high,
        p_value=p_value,
        first=first if resolved else math.nan,
        second=second if resolved else math.nan,
        level=level,
        target=target,
        resolved=resolved,
        num_people=num_people,
        num_replicates=len(replicates),
        num_undefined=int(np.count_nonzero(np.isnan(replicates))),
        seed=seed,
        replicates=read_only(replicates),
    )


def _two_sided_p(replicates: Floats) -> float:
    total = np.count_nonzero(~np.isnan(replicates)) + 1
    at_most = (1 + np.count_nonzero(replicates <= ROUNDING)) / total
    at_least = (1 + np.count_nonzero(replicates >= -ROUNDING)) / total
    return float(min(1.0, 2 * min(at_most, at_least)))
