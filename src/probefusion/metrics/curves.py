"""ROC, DET and equal error rate, exact at every distinct score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.metrics.validation import (
    Counts,
    Floats,
    Scores,
    check_count,
    check_scores,
    same_precision,
)

__all__ = ["DetCurve", "EqualErrorRate", "RocCurve", "det", "eer", "roc", "roc_counts"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RocCurve:
    """Receiver operating characteristic: one exact point for each threshold.

    Args:
        thresholds: (K,) float64, descending; the first is +inf and accepts nothing.
        fars: (K,) float64 false accept rate, ascending from 0.
        tars: (K,) float64 true accept rate, ascending from 0.
        num_false_accepts: (K,) int64.
        num_true_accepts: (K,) int64.
        num_mated: Number of mated comparisons.
        num_non_mated: Number of non-mated comparisons.
    """

    thresholds: Floats
    fars: Floats
    tars: Floats
    num_false_accepts: Counts
    num_true_accepts: Counts
    num_mated: int
    num_non_mated: int


@dataclass(frozen=True, kw_only=True, eq=False)
class DetCurve:
    """Detection error trade-off: one exact point for each threshold.

    Args:
        thresholds: (K,) float64, descending; the first is +inf and accepts nothing.
        fmrs: (K,) float64 false match rate, ascending from 0.
        fnmrs: (K,) float64 false non-match rate, descending from 1.
        num_mated: Number of mated comparisons.
        num_non_mated: Number of non-mated comparisons.
    """

    thresholds: Floats
    fmrs: Floats
    fnmrs: Floats
    num_mated: int
    num_non_mated: int


@dataclass(frozen=True, kw_only=True)
class EqualErrorRate:
    """Where false match rate and false non-match rate meet.

    Args:
        eer: Their common value on the DET curve drawn with straight lines.
        threshold: The score at which the two rates come nearest to each other.
        fmr: False match rate at that threshold.
        fnmr: False non-match rate at that threshold.
        num_mated: Number of mated comparisons.
        num_non_mated: Number of non-mated comparisons.
    """

    eer: float
    threshold: float
    fmr: float
    fnmr: float
    num_mated: int
    num_non_mated: int


def roc_counts(mated: Scores, non_mated: Scores) -> tuple[Scores, Counts, Counts]:
    """False and true accepts at every distinct score.

    Args:
        mated: (n,) checked scores.
        non_mated: (m,) checked scores of the same precision.

    Returns:
        Thresholds (K,) descending and beginning with +inf, false accepts (K,), true accepts (K,).
        Scores of -inf are no thresholds.

    Example:
        >>> roc_counts(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
        (array([inf, 0.9, 0.5, 0.1]), array([0, 0, 1, 2]), array([0, 1, 2, 2]))
    """
    same, other = np.sort(mated), np.sort(non_mated)
    thresholds = np.concatenate([same, other])
    # Two sorted runs are merged in linear time by the stable sort.
    thresholds.sort(kind="stable")
    is_first = np.ones(len(thresholds), dtype=bool)
    np.not_equal(thresholds[1:], thresholds[:-1], out=is_first[1:])
    thresholds = thresholds[is_first & (thresholds != -np.inf)]
    false_accepts = len(other) - np.searchsorted(other, thresholds, side="left")[::-1]
    true_accepts = len(same) - np.searchsorted(same, thresholds, side="left")[::-1]
    start = np.zeros(1, dtype=np.int64)
    return (
        np.concatenate([np.array([np.inf], dtype=thresholds.dtype), thresholds[::-1]]),
        np.concatenate([start, false_accepts]),
        np.concatenate([start, true_accepts]),
    )


def roc(
    mated: npt.ArrayLike, non_mated: npt.ArrayLike, *, max_points: int | None = None
) -> RocCurve:
    """The receiver operating characteristic.

    Without `max_points` there is one point for every distinct score and one at +inf. With it, points
    are left out but none is changed: those kept follow the logarithm of the number of false accepts
    and of the number of false rejects, so that the first and the last point and the neighbourhood of
    both ends stay complete and a plot with logarithmic axes looks the same.

    Memory: about 50 bytes a comparison, mostly for the points.

    Args:
        mated: (n,) similarities; -inf for a comparison that failed. Failed ones are never accepted,
            so that the curve then ends below 1.
        non_mated: (m,) similarities; -inf for a comparison that failed.
        max_points: At most so many points, at least 10; None for all.

    Returns:
        The curve.

    Raises:
        EmptySetError, ShapeError, DtypeError, NonFiniteError: If the scores are not as described.
        InvalidInputError: If `max_points` is below 10.

    Example:
        >>> curve = roc([0.9, 0.5], [0.5, 0.1])
        >>> curve.fars.tolist(), curve.tars.tolist()
        ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    same, other = same_precision(
        check_scores(mated, name="mated"), check_scores(non_mated, name="non_mated")
    )
    thresholds, false_accepts, true_accepts = roc_counts(same, other)
    if max_points is not None:
        num = check_count(max_points, name="max_points", minimum=10)
        keep = _thin(false_accepts, len(same) - true_accepts, num)
        thresholds, false_accepts, true_accepts = (
            thresholds[keep],
            false_accepts[keep],
            true_accepts[keep],
        )
    return RocCurve(
        thresholds=read_only(thresholds.astype(np.float64)),
        fars=read_only(false_accepts / len(other)),
        tars=read_only(true_accepts / len(same)),
        num_false_accepts=read_only(false_accepts),
        num_true_accepts=read_only(true_accepts),
        num_mated=len(same),
        num_non_mated=len(other),
    )


def _thin(false_accepts: Counts, misses: Counts, num: int) -> Counts:
    """Positions of at most `num` points, dense in the logarithm of both error counts."""
    if len(false_accepts) <= num:
        return np.arange(len(false_accepts))
    half = (num - 2) // 2
    last = len(false_accepts) - 1
    # The last point of an equal number of false accepts is the one with the most true accepts, and
    # the first of an equal number of misses the one with the fewest false accepts.
    by_accepts = np.searchsorted(false_accepts, _spread(int(false_accepts[-1]), half), side="right")
    by_misses = np.searchsorted(-misses, -_spread(int(misses[0]), half), side="left")
    chosen = np.concatenate([[0, last], by_accepts - 1, np.minimum(by_misses, last)])
    return np.unique(chosen).astype(np.int64)


def _spread(largest: int, num: int) -> Counts:
    """From 0 to `largest`, evenly in the logarithm and without repetition where it is sparse."""
    counts = np.rint(np.geomspace(1, max(largest, 1), num - 1))
    return np.concatenate([[0], counts]).astype(np.int64)


def det(
    mated: npt.ArrayLike, non_mated: npt.ArrayLike, *, max_points: int | None = None
) -> DetCurve:
    """The detection error trade-off: false match rate against false non-match rate.

    The same points as `roc` with fnmr = 1 - tar, counted and not subtracted.

    Args:
        mated: (n,) similarities; -inf for a comparison that failed, a false non-match everywhere.
        non_mated: (m,) similarities; -inf for a comparison that failed.
        max_points: At most so many points, at least 10; None for all.

    Returns:
        The curve.

    Raises:
        EmptySetError, ShapeError, DtypeError, NonFiniteError: If the scores are not as described.
        InvalidInputError: If `max_points` is below 10.

    Example:
        >>> curve = det([0.9, 0.5], [0.5, 0.1])
        >>> curve.fmrs.tolist(), curve.fnmrs.tolist()
        ([0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0])
    """
    curve = roc(mated, non_mated, max_points=max_points)
    misses = curve.num_mated - curve.num_true_accepts
    return DetCurve(
        thresholds=curve.thresholds,
        fmrs=curve.fars,
        fnmrs=read_only(misses / curve.num_mated),
        num_mated=curve.num_mated,
        num_non_mated=curve.num_non_mated,
    )


def eer(mated: npt.ArrayLike, non_mated: npt.ArrayLike) -> EqualErrorRate:
    """The equal error rate.

    Definition: join the exact points of the DET curve, at every distinct score and at +inf, by
    straight lines; the EER is where that line meets fmr = fnmr. The threshold reported is the end of
    that piece where the two rates differ less (the higher one if equally).

    Args:
        mated: (n,) similarities, all finite.
        non_mated: (m,) similarities, all finite.

    Returns:
        The rate, and both rates at the nearest threshold.

    Raises:
        EmptySetError, ShapeError, DtypeError: If the scores are not as described.
        NonFiniteError: If a score is NaN or infinite. With failed comparisons (-inf) the rates need
            not meet.

    Example:
        >>> result = eer([0.9, 0.8, 0.4], [0.5, 0.2, 0.1])
        >>> round(result.eer, 4), result.threshold
        (0.3333, 0.5)
    """
    same, other = same_precision(
        check_scores(mated, name="mated", allow_failures=False),
        check_scores(non_mated, name="non_mated", allow_failures=False),
    )
    thresholds, false_accepts, true_accepts = roc_counts(same, other)
    fmrs = false_accepts / len(other)
    fnmrs = (len(same) - true_accepts) / len(same)
    # fmr grows from 0 to 1 and fnmr falls from 1 to 0: there is a first point at or past the meeting.
    after = int(np.argmax(fmrs >= fnmrs))
    before = after - 1
    gap_before = float(fnmrs[before] - fmrs[before])
    gap_after = float(fmrs[after] - fnmrs[after])
    part = gap_before / (gap_before + gap_after)
    nearest = before if gap_before <= gap_after and before > 0 else after
    return EqualErrorRate(
        eer=float(fmrs[before] + part * (fmrs[after] - fmrs[before])),
        threshold=float(thresholds[nearest]),
        fmr=float(fmrs[nearest]),
        fnmr=float(fnmrs[nearest]),
        num_mated=len(same),
        num_non_mated=len(other),
    )
