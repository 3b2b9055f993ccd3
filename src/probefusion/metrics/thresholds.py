"""The threshold for a false accept rate, found on non-mated scores alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.metrics.validation import check_count, check_rates, check_scores, error_budget

__all__ = ["FarThreshold", "next_above", "thresholds_at_far"]


@dataclass(frozen=True, kw_only=True)
class FarThreshold:
    """The threshold for one target false accept rate.

    Args:
        target: The false accept rate asked for.
        resolved: Whether the target is at least 1 / `num_non_mated`. If not, `threshold` and `far`
            are NaN and `num_false_accepts` is None: so few comparisons say nothing about that rate.
        threshold: The lowest number at which no more than `budget` non-mated scores are accepted,
            in the scores' own precision.
        far: The false accept rate achieved, at most `target`.
        num_false_accepts: Non-mated scores >= `threshold`.
        budget: floor(target * num_non_mated).
        num_non_mated: Number of non-mated comparisons.
    """

    target: float
    resolved: bool
    threshold: float
    far: float
    num_false_accepts: int | None
    budget: int
    num_non_mated: int


def next_above(score: np.floating[Any]) -> np.floating[Any]:
    """The next larger number in the precision of the score; the lowest finite one for -inf.

    Example:
        >>> float(next_above(np.float64(1.0)))
        1.0000000000000002
    """
    with np.errstate(over="ignore", under="ignore"):
        following: np.floating[Any] = np.nextafter(score, score.dtype.type(np.inf))
    return following


def thresholds_at_far(
    non_mated: npt.ArrayLike,
    targets: float | Iterable[float],
    *,
    num_non_mated: int | None = None,
) -> tuple[FarThreshold, ...]:
    """The lowest threshold that keeps each false accept rate, from non-mated scores alone.

    With k = floor(target * n) the threshold is the next number above the (k+1)-th largest score:
    equal scores are all accepted or all refused, and never more than k are accepted. If k = n the
    threshold accepts every comparison that could be made.

    Memory: one copy of the scores; time linear in their number (partial sort).

    Args:
        non_mated: (m,) similarities; -inf for a comparison that could not be made.
        targets: False accept rates in (0, 1], one or several.
        num_non_mated: Number n of all non-mated comparisons where `non_mated` holds only the
            largest of them (`largest_scores`). Default: m.

    Returns:
        One result for each target, in their order.

    Raises:
        EmptySetError: If there are no scores or no targets.
        InvalidInputError: If a target is not in (0, 1], or `num_non_mated` is below m, or more
            scores than were given are needed.
        ShapeError, DtypeError, NonFiniteError: If the scores are not as described.

    Example:
        >>> point, = thresholds_at_far([0.1, 0.2, 0.3, 0.4], 0.25)
        >>> 0.3 < point.threshold < 0.3000001, point.num_false_accepts, point.far
        (True, 1, 0.25)
    """
    scores = check_scores(non_mated, name="non_mated")
    rates = check_rates(targets, name="targets")
    total = _check_total(num_non_mated, len(scores))
    budgets = [error_budget(rate, total) for rate in rates]
    if len(scores) < total and max(budgets) >= len(scores):
        raise InvalidInputError(
            f"non_mated: the target {max(rates)} needs the {max(budgets) + 1} largest of {total} "
            f"scores, got {len(scores)}. Keep more of them or lower the target."
        )
    below = sorted({len(scores) - 1 - budget for budget in budgets if budget < len(scores)})
    ordered = np.partition(scores, below) if below else scores
    found = []
    for rate, budget in zip(rates, budgets, strict=True):
        if budget < len(scores):
            cutoff = ordered[len(scores) - 1 - budget]
            accepted = int(np.count_nonzero(ordered[len(scores) - budget :] > cutoff))
        else:
            cutoff = scores.dtype.type(-np.inf)
            accepted = int(np.count_nonzero(scores > cutoff))
        resolved = budget > 0
        found.append(
            FarThreshold(
                target=rate,
                resolved=resolved,
                threshold=float(next_above(cutoff)) if resolved else float("nan"),
                far=accepted / total if resolved else float("nan"),
                num_false_accepts=accepted if resolved else None,
                budget=budget,
                num_non_mated=total,
            )
        )
    return tuple(found)


def _check_total(num_non_mated: int | None, held: int) -> int:
    if num_non_mated is None:
        return held
    return check_count(num_non_mated, name="num_non_mated", minimum=held)
