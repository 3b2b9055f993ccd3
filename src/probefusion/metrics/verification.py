"""1:1 verification: true accept rate at a false accept rate, and error rates at a threshold.

A comparison is accepted when its similarity is >= the threshold. FAR and TAR count comparisons:
they are the FMR and 1 - FNMR of ISO/IEC 19795-1. Where a failure to acquire is part of the scores
(-inf, never accepted) they are the generalised rates of that standard for single attempts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, NonFiniteError
from probefusion.metrics.curves import roc_counts
from probefusion.metrics.thresholds import thresholds_at_far
from probefusion.metrics.validation import (
    Rule,
    Scores,
    check_rates,
    check_rule,
    check_scores,
    error_budget,
    same_precision,
)

__all__ = [
    "TarAtFar",
    "VerificationRates",
    "tar_at_far",
    "verification_rates",
]


@dataclass(frozen=True, kw_only=True)
class TarAtFar:
    """The true accept rate at one target false accept rate.

    Args:
        target: The false accept rate asked for.
        resolved: Whether the target is at least 1 / `num_non_mated`.
        tar: Share of mated comparisons accepted; NaN if not resolved (rule "budget").
        far: Share of non-mated comparisons accepted; NaN if not resolved (rule "budget").
        threshold: Accept when similarity >= threshold; NaN if not resolved (rule "budget").
        num_true_accepts: Mated comparisons accepted, or None.
        num_false_accepts: Non-mated comparisons accepted, or None.
        budget: floor(target * num_non_mated).
        num_mated: Number of mated comparisons.
        num_non_mated: Number of non-mated comparisons.
        rule: How the threshold was chosen.
    """

    target: float
    resolved: bool
    tar: float
    far: float
    threshold: float
    num_true_accepts: int | None
    num_false_accepts: int | None
    budget: int
    num_mated: int
    num_non_mated: int
    rule: Rule


@dataclass(frozen=True, kw_only=True)
class VerificationRates:
    """Error rates at a fixed threshold.

    Args:
        threshold: Accept when similarity >= threshold.
        fmr: False match rate, share of non-mated comparisons accepted.
        fnmr: False non-match rate, share of mated comparisons not accepted.
        num_false_matches: Their number.
        num_false_non_matches: Their number.
        num_mated: Number of mated comparisons.
        num_non_mated: Number of non-mated comparisons.
    """

    threshold: float
    fmr: float
    fnmr: float
    num_false_matches: int
    num_false_non_matches: int
    num_mated: int
    num_non_mated: int


def tar_at_far(
    mated: npt.ArrayLike,
    non_mated: npt.ArrayLike,
    targets: float | Iterable[float],
    *,
    rule: Rule = "budget",
    num_non_mated: int | None = None,
) -> tuple[TarAtFar, ...]:
    """True accept rate at given false accept rates.

    Rule "budget" (default): the threshold of `thresholds_at_far`, which accepts at most
    floor(FAR * n_non_mated) non-mated comparisons; the rate achieved and the counts are reported.
    A target below 1 / n_non_mated is marked `resolved=False` and has no value (NaN).

    Rule "upstream_compat": the point of the ROC whose false accept rate is nearest to the target,
    as the widely used IJB evaluation script of InsightFace takes it. Points inside a straight
    stretch of the curve are left out first, and of equally near points the one with the most false
    accepts and then the most true accepts counts. Its false accept rate can exceed the target, and
    it gives a value for unresolved targets too (`resolved` is still False for them).

    A threshold is exact for scores of the precision in which it was computed, the higher one of
    the two arrays; compare it with scores of that precision.

    Memory: one copy of the scores ("upstream_compat": about 50 bytes a score).

    Args:
        mated: (n,) similarities of comparisons within a person; -inf for one that failed.
        non_mated: (m,) similarities of comparisons between persons; -inf for one that failed.
        targets: False accept rates in (0, 1], one or several.
        rule: "budget" or "upstream_compat".
        num_non_mated: Number of all non-mated comparisons where `non_mated` holds only the largest
            of them (`largest_scores`); rule "budget" only.

    Returns:
        One result for each target, in their order.

    Raises:
        EmptySetError: If there are no mated scores, no non-mated scores or no targets.
        InvalidInputError: If a target is not in (0, 1] or `num_non_mated` does not fit.
        ShapeError, DtypeError, NonFiniteError: If the scores are not as described.
        UnknownNameError: If there is no such rule.
        ConfigError: If `num_non_mated` is given with "upstream_compat".

    Example:
        >>> strict, loose, tiny = tar_at_far([0.3, 0.6, 0.9], [0.1, 0.2, 0.5, 0.7], [0.25, 0.5, 0.1])
        >>> round(strict.tar, 3), strict.num_false_accepts, loose.tar, tiny.resolved
        (0.667, 1, 1.0, False)
    """
    check_rule(rule)
    same, other = same_precision(
        check_scores(mated, name="mated"), check_scores(non_mated, name="non_mated")
    )
    if rule == "upstream_compat":
        if num_non_mated is not None:
            raise ConfigError(
                "num_non_mated: the rule 'upstream_compat' needs all non-mated scores. "
                "Give them all, or use the rule 'budget'."
            )
        return _nearest_roc_points(same, other, check_rates(targets, name="targets"))
    ordered = np.sort(same)
    points = []
    for found in thresholds_at_far(other, targets, num_non_mated=num_non_mated):
        accepted = None
        if found.resolved:
            threshold = same.dtype.type(found.threshold)
            accepted = len(same) - int(np.searchsorted(ordered, threshold, side="left"))
        points.append(
            TarAtFar(
                target=found.target,
                resolved=found.resolved,
                tar=float("nan") if accepted is None else accepted / len(same),
                far=found.far,
                threshold=found.threshold,
                num_true_accepts=accepted,
                num_false_accepts=found.num_false_accepts,
                budget=found.budget,
                num_mated=len(same),
                num_non_mated=found.num_non_mated,
                rule="budget",
            )
        )
    return tuple(points)


def _nearest_roc_points(
    mated: Scores, non_mated: Scores, rates: tuple[float, ...]
) -> tuple[TarAtFar, ...]:
    if min(mated.min(), non_mated.min()) == -np.inf:
        raise NonFiniteError(
            "scores: the rule 'upstream_compat' knows no failed comparisons (-inf). "
            "Give them the similarity that the published script gives them, usually 0."
        )
    thresholds, false_accepts, true_accepts = roc_counts(mated, non_mated)
    # Inside a stretch where both counts grow by the same steps a point adds nothing to the curve.
    inner = (np.diff(false_accepts[1:], 2) == 0) & (np.diff(true_accepts[1:], 2) == 0)
    keep = np.ones(len(thresholds), dtype=bool)
    keep[2 : 2 + len(inner)] = ~inner
    # Loosest threshold first: of equally near points the first counts.
    kept = np.flatnonzero(keep)[::-1]
    fars = false_accepts[kept] / len(non_mated)
    points = []
    for rate in rates:
        nearest = kept[int(np.argmin(np.abs(fars - rate)))]
        budget = error_budget(rate, len(non_mated))
        points.append(
            TarAtFar(
                target=rate,
                resolved=budget > 0,
                tar=float(true_accepts[nearest] / len(mated)),
                far=float(false_accepts[nearest] / len(non_mated)),
                threshold=float(thresholds[nearest]),
                num_true_accepts=int(true_accepts[nearest]),
                num_false_accepts=int(false_accepts[nearest]),
                budget=budget,
                num_mated=len(mated),
                num_non_mated=len(non_mated),
                rule="upstream_compat",
            )
        )
    return tuple(points)


def verification_rates(
    mated: npt.ArrayLike, non_mated: npt.ArrayLike, threshold: float
) -> VerificationRates:
    """False match and false non-match rate at a threshold fixed beforehand.

    Args:
        mated: (n,) similarities; -inf for a comparison that failed, which is a false non-match.
        non_mated: (m,) similarities; -inf for a comparison that failed.
        threshold: Accept when similarity >= threshold; finite.

    Returns:
        Both rates with their counts.

    Raises:
        EmptySetError, ShapeError, DtypeError, NonFiniteError: If the input is not as described.

    Example:
        >>> rates = verification_rates([0.3, 0.6, 0.9, 0.8], [0.1, 0.2, 0.5, 0.7], 0.6)
        >>> rates.fmr, rates.fnmr
        (0.25, 0.25)
    """
    same = check_scores(mated, name="mated")
    other = check_scores(non_mated, name="non_mated")
    if not np.isfinite(threshold):
        raise NonFiniteError(f"threshold: expected a finite number, got {threshold}.")
    # As an array the threshold keeps its own precision and is not rounded to that of the scores.
    limit = np.array([threshold], dtype=np.float64)
    false_matches = int(np.count_nonzero(other >= limit))
    false_non_matches = len(same) - int(np.count_nonzero(same >= limit))
    return VerificationRates(
        threshold=float(threshold),
        fmr=false_matches / len(other),
        fnmr=false_non_matches / len(same),
        num_false_matches=false_matches,
        num_false_non_matches=false_non_matches,
        num_mated=len(same),
        num_non_mated=len(other),
    )
