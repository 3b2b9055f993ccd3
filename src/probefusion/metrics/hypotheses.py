"""Verdicts: non-inferiority with a margin, and Holm's correction for families of tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import InvalidInputError
from probefusion.metrics.comparison import ROUNDING, PairedDifference
from probefusion.metrics.intervals import percentile_interval
from probefusion.metrics.validation import Floats, check_fraction, check_scores

__all__ = ["HolmCorrection", "NonInferiority", "holm", "non_inferiority"]


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Whether the first fuser is not worse than the second by more than a margin.

    Args:
        is_non_inferior: p_value <= alpha.
        p_value: One-sided, of "worse by the margin or more".
        difference: first - second.
        low: Lower end of the central 1 - 2 alpha of the replicates; above -margin when non-inferior,
            up to the interpolation between two replicates.
        margin: The largest loss that does not matter.
        alpha: One-sided level.
    """

    is_non_inferior: bool
    p_value: float
    difference: float
    low: float
    margin: float
    alpha: float


@dataclass(frozen=True, kw_only=True, eq=False)
class HolmCorrection:
    """P-values of a family of tests, adjusted so that any false rejection has chance <= alpha.

    Args:
        adjusted: (n,) float64 adjusted p-values, in the order given.
        is_rejected: (n,) bool, adjusted <= alpha.
        alpha: Family-wise level.
    """

    adjusted: Floats
    is_rejected: npt.NDArray[np.bool_]
    alpha: float


def non_inferiority(
    difference: PairedDifference, *, margin: float = 0.005, alpha: float = 0.025
) -> NonInferiority:
    """Tests whether the first fuser is not worse than the second by the margin or more.

    Null hypothesis: first - second <= -margin. Its one-sided p-value is
    (1 + #{d* <= -margin}) / (R + 1) over the replicates d* of the difference; rejecting it at `alpha`
    is what "not worse" means.

    Args:
        difference: Of a resolved target.
        margin: Between 0 and 1, the largest loss that does not matter.
        alpha: One-sided level between 0 and 0.5.

    Returns:
        The verdict with its p-value.

    Raises:
        InvalidInputError: If the difference is not resolved, or a number is out of range, or there
            are too few replicates for `alpha`.

    Example:
        >>> from probefusion.metrics import compare_means_over_people
        >>> same = compare_means_over_people([1, 0, 1], [1, 0, 1], [1, 2, 3])
        >>> non_inferiority(same).is_non_inferior
        True
    """
    margin = check_fraction(margin, name="margin")
    alpha = check_fraction(alpha, name="alpha")
    if alpha >= 0.5:
        raise InvalidInputError(f"alpha: expected a one-sided level below 0.5, got {alpha}.")
    if not difference.resolved:
        raise InvalidInputError(
            f"difference: the target {difference.target} is not resolved, so that nothing can be "
            f"tested. Use a larger target or more comparisons."
        )
    defined = difference.replicates[~np.isnan(difference.replicates)]
    if 1 / (len(defined) + 1) > alpha:
        raise InvalidInputError(
            f"alpha: {len(defined)} replicates give p-values from {1 / (len(defined) + 1):.3g}, which "
            f"cannot reach {alpha}. Use more replicates."
        )
    p_value = (1 + np.count_nonzero(defined <= -margin + ROUNDING)) / (len(defined) + 1)
    return NonInferiority(
        is_non_inferior=bool(p_value <= alpha),
        p_value=float(p_value),
        difference=difference.difference,
        low=percentile_interval(defined, 1 - 2 * alpha)[0],
        margin=margin,
        alpha=alpha,
    )


def holm(p_values: npt.ArrayLike, *, alpha: float = 0.05) -> HolmCorrection:
    """Holm's step-down correction for a family of tests.

    With the p-values in ascending order, the i-th of n (from 1) becomes
    max over j <= i of min(1, (n - j + 1) p_j). Valid under any dependence of the tests.
    Source: Holm, A simple sequentially rejective multiple test procedure, 1979.

    Args:
        p_values: (n,) in [0, 1]. A test without a p-value (NaN) must be left out by the caller, so
            that the size of the family is a decision and no accident.
        alpha: Family-wise level between 0 and 1.

    Returns:
        The adjusted p-values and which tests are rejected.

    Raises:
        EmptySetError: If there are none.
        InvalidInputError: If one is not in [0, 1].
        ShapeError, DtypeError, NonFiniteError: If they are not as described.

    Example:
        >>> holm([0.01, 0.04, 0.03]).adjusted.round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    values = check_scores(p_values, name="p_values", allow_failures=False).astype(np.float64)
    alpha = check_fraction(alpha, name="alpha")
    if values.min() < 0 or values.max() > 1:
        raise InvalidInputError(
            f"p_values: expected numbers from 0 to 1, got {values.min()} to {values.max()}."
        )
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return HolmCorrection(
        adjusted=read_only(adjusted), is_rejected=read_only(adjusted <= alpha), alpha=alpha
    )
