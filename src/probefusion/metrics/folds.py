"""Accuracy over folds, as LFW and YTF are reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.metrics.validation import Scores, check_scores

__all__ = ["FoldAccuracy", "accuracy_over_folds"]


@dataclass(frozen=True, kw_only=True)
class FoldAccuracy:
    """Share of pairs decided rightly, each fold at the threshold that is best on the others.

    Args:
        mean: Mean of the folds' accuracies.
        standard_error: Standard deviation of the folds (unbiased) over the root of their number.
        accuracies: Accuracy of each fold, in ascending order of the folds' numbers.
        thresholds: Threshold used for each fold.
    """

    mean: float
    standard_error: float
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]


def accuracy_over_folds(
    similarities: npt.ArrayLike, mated: npt.ArrayLike, folds: npt.ArrayLike
) -> FoldAccuracy:
    """Accuracy by cross-validated thresholds.

    For each fold the threshold is the lowest one, among the similarities of the other folds, that
    decides most of their pairs rightly; a pair is accepted when its similarity is >= the threshold.

    Args:
        similarities: (n,) finite.
        mated: (n,) bool.
        folds: (n,) integers, at least two different ones.

    Returns:
        Mean, standard error and the folds.

    Raises:
        ShapeError: If the lengths differ.
        InvalidInputError: If there is one fold only.
        EmptySetError, DtypeError, NonFiniteError: If the scores are not as described.

    Example:
        >>> found = accuracy_over_folds(
        ...     [0.9, 0.1, 0.8, 0.2], [True, False, True, False], [1, 1, 2, 2]
        ... )
        >>> found.accuracies, found.mean
        ((1.0, 0.5), 0.75)
    """
    scores = check_scores(similarities, name="similarities")
    is_mated, numbers = np.asarray(mated, dtype=bool), np.asarray(folds)
    if not scores.shape == is_mated.shape == numbers.shape:
        raise ShapeError(
            f"similarities, mated, folds: expected one length, got {scores.shape}, "
            f"{is_mated.shape} and {numbers.shape}."
        )
    names = np.unique(numbers)
    if len(names) < 2:
        raise InvalidInputError(f"folds: expected at least two folds, got {names.tolist()}.")
    accuracies, thresholds = [], []
    for fold in names:
        inside = numbers == fold
        threshold = _best_threshold(scores[~inside], is_mated[~inside])
        accuracies.append(float(((scores[inside] >= threshold) == is_mated[inside]).mean()))
        thresholds.append(threshold)
    spread = float(np.std(accuracies, ddof=1) / np.sqrt(len(names)))
    return FoldAccuracy(
        mean=float(np.mean(accuracies)),
        standard_error=spread,
        accuracies=tuple(accuracies),
        thresholds=tuple(thresholds),
    )


def _best_threshold(scores: Scores, is_mated: npt.NDArray[np.bool_]) -> float:
    candidates = np.unique(scores)
    below_mated = np.searchsorted(np.sort(scores[is_mated]), candidates)
    below_others = np.searchsorted(np.sort(scores[~is_mated]), candidates)
    right = (is_mated.sum() - below_mated) + below_others
    return float(candidates[np.argmax(right)])
