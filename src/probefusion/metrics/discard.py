"""Error versus discard: does a quality value find the comparisons that go wrong?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import InvalidInputError, NonFiniteError, ShapeError, UnknownNameError
from probefusion.metrics.validation import (
    Counts,
    Floats,
    Scores,
    check_fraction,
    check_scores,
    error_budget,
)

__all__ = ["ErrorVersusDiscard", "error_versus_discard"]

_ERRORS = ("fnmr", "fmr")


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorVersusDiscard:
    """Error rate among what remains when the worst comparisons by quality are discarded.

    Args:
        fractions: (K,) float64, share that may be discarded, as asked for.
        discarded: (K,) float64, share really discarded, at most that.
        errors: (K,) float64, error rate of those that remain.
        num_remaining: (K,) int64, at least 1.
        area: Area under the step curve from no discard to `limit`, divided by `limit`: the mean
            error rate over that range. Smaller is better.
        limit: Where the area ends.
        error: "fnmr" or "fmr".
        threshold: Accept when similarity >= threshold.
        num_comparisons: n.
    """

    fractions: Floats
    discarded: Floats
    errors: Floats
    num_remaining: Counts
    area: float
    limit: float
    error: Literal["fnmr", "fmr"]
    threshold: float
    num_comparisons: int


def error_versus_discard(
    similarities: npt.ArrayLike,
    qualities: npt.ArrayLike,
    *,
    threshold: float,
    fractions: Sequence[float] | None = None,
    limit: float = 0.2,
    error: Literal["fnmr", "fmr"] = "fnmr",
) -> ErrorVersusDiscard:
    """The error-versus-discard characteristic at a fixed threshold (as in ISO/IEC 29794-1).

    Comparisons are discarded in the order of their quality, the lowest first; those of equal quality
    go together or stay together, so that no more than floor(fraction * n) are ever discarded and the
    order of the input does not matter. The threshold stays the same throughout.

    Args:
        similarities: (n,) of mated comparisons for "fnmr", of non-mated ones for "fmr"; -inf for a
            comparison that failed, which is not accepted.
        qualities: (n,) finite, higher is better. Of a comparison of two samples it is customary to
            give the smaller of the two qualities.
        threshold: Accept when similarity >= threshold; finite.
        fractions: Shares in [0, 1) that may be discarded; None for every step of the curve.
        limit: Where the area under the curve ends, between 0 and 1.
        error: "fnmr" counts similarities below the threshold, "fmr" those at or above it.

    Returns:
        The curve and its area.

    Raises:
        EmptySetError: If there are no comparisons or no fractions.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.
        InvalidInputError: If a fraction is not in [0, 1) or `limit` not between 0 and 1.
        UnknownNameError: If there is no such error.

    Example:
        >>> curve = error_versus_discard(
        ...     [0.2, 0.9, 0.4, 0.8], [10, 50, 20, 60], threshold=0.5, fractions=[0, 0.25, 0.5]
        ... )
        >>> curve.errors.round(3).tolist()
        [0.5, 0.333, 0.0]
    """
    scores = check_scores(similarities, name="similarities")
    values = check_scores(qualities, name="qualities", allow_failures=False)
    if values.shape != scores.shape:
        raise ShapeError(
            f"qualities: expected one for each similarity ({len(scores)}), got {len(values)}."
        )
    if not np.isfinite(threshold):
        raise NonFiniteError(f"threshold: expected a finite number, got {threshold}.")
    if error not in _ERRORS:
        raise UnknownNameError("error", error, _ERRORS)
    limit = check_fraction(limit, name="limit")
    is_error = scores >= np.array([threshold], dtype=np.float64)
    if error == "fnmr":
        is_error = ~is_error
    steps, rates = _curve(is_error, values)
    total = len(scores)
    wanted = steps / total if fractions is None else _check_fractions(fractions)
    budgets = np.array([error_budget(float(fraction), total) for fraction in wanted])
    place = np.searchsorted(steps, budgets, side="right") - 1
    return ErrorVersusDiscard(
        fractions=read_only(wanted),
        discarded=read_only(steps[place] / total),
        errors=read_only(rates[place]),
        num_remaining=read_only(total - steps[place]),
        area=_area(steps / total, rates, limit),
        limit=limit,
        error=error,
        threshold=float(threshold),
        num_comparisons=total,
    )


def _curve(is_error: npt.NDArray[np.bool_], qualities: Scores) -> tuple[Counts, Floats]:
    """Numbers that can be discarded without parting equal qualities, and the error rate after it."""
    order = np.argsort(qualities, kind="stable")
    ascending = qualities[order]
    steps = np.concatenate([[0], np.flatnonzero(ascending[1:] > ascending[:-1]) + 1])
    errors_before = np.concatenate([[0], np.cumsum(is_error[order])])
    remaining_errors = errors_before[-1] - errors_before[steps]
    return steps.astype(np.int64), remaining_errors / (len(order) - steps)


def _area(fractions: Floats, rates: Floats, limit: float) -> float:
    """Mean of the step function over [0, limit]."""
    edges = np.minimum(np.append(fractions, 1.0), limit)
    return float(np.sum(np.diff(edges) * rates) / limit)


def _check_fractions(fractions: Sequence[float]) -> Floats:
    array = check_scores(fractions, name="fractions", allow_failures=False).astype(np.float64)
    if array.min() < 0 or array.max() >= 1:
        raise InvalidInputError(
            f"fractions: expected shares from 0 to below 1, got {array.min()} to {array.max()}. "
            f"Something must remain to have an error rate."
        )
    return array
