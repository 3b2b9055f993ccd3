"""Resampling people with replacement, and exact error rates under the resulting weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import InvalidInputError
from probefusion.metrics.scores import ComparisonScores
from probefusion.metrics.validation import (
    Counts,
    Floats,
    Scores,
    check_count,
    error_budgets,
)

__all__ = ["PeopleResample", "draw_people", "weighted_means", "weighted_tars"]

_BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, kw_only=True, eq=False)
class PeopleResample:
    """How often each person was drawn in each bootstrap replicate.

    Args:
        weights: (R, K) int32; each row sums to K.
        seed: The seed it was drawn with.
    """

    weights: npt.NDArray[np.int32]
    seed: int

    def with_everyone(self) -> npt.NDArray[np.int32]:
        """(R+1, K) the weights behind a first row of ones, which gives the estimate itself."""
        everyone = np.ones((1, self.weights.shape[1]), dtype=np.int32)
        return np.concatenate([everyone, self.weights])


def draw_people(num_people: int, *, num_replicates: int, seed: int) -> PeopleResample:
    """Draws `num_people` people with replacement, `num_replicates` times.

    The same numbers and seed give the same weights everywhere, which is what pairs two fusers.
    Memory: 4 bytes a person and replicate.

    Args:
        num_people: K, at least 2.
        num_replicates: R, at least 100.
        seed: Of a `numpy.random.default_rng`.

    Returns:
        The weights.

    Raises:
        InvalidInputError: If there are fewer than 2 people or fewer than 100 replicates.
        DtypeError: If a number is not an integer.

    Example:
        >>> resample = draw_people(5, num_replicates=100, seed=0)
        >>> resample.weights.shape, int(resample.weights.sum(axis=1).max())
        ((100, 5), 5)
    """
    num_replicates = check_count(num_replicates, name="num_replicates", minimum=100)
    seed = check_count(seed, name="seed", minimum=0)
    if num_people < 2:
        raise InvalidInputError(
            f"people: a bootstrap over people needs at least 2, got {num_people}. "
            f"Nothing can be said about other people from one person."
        )
    generator = np.random.default_rng(seed)
    weights = np.empty((num_replicates, num_people), dtype=np.int32)
    for row in weights:
        row[:] = np.bincount(generator.integers(num_people, size=num_people), minlength=num_people)
    return PeopleResample(weights=read_only(weights), seed=seed)


def weighted_means(
    values: Floats, people: Counts, weights: npt.NDArray[np.integer], *, average_per_person: bool
) -> Floats:
    """The mean of values when each person counts as often as drawn.

    Args:
        values: (n,).
        people: (n,) positions of the columns of `weights`.
        weights: (R, K) integers.
        average_per_person: Whether each person has one vote (the mean of the person's values)
            instead of one for each value.

    Returns:
        (R,) float64; NaN where nobody with a value was drawn.

    Example:
        >>> values, people = np.array([1.0, 0.0, 0.0]), np.array([0, 0, 1])
        >>> weighted_means(values, people, np.array([[1, 1], [2, 0]]), average_per_person=True)
        array([0.25, 0.5 ])
    """
    num_people = weights.shape[1]
    counts: Counts = np.bincount(people, minlength=num_people)
    sums = np.bincount(people, weights=values, minlength=num_people).astype(np.float64, copy=False)
    votes: Counts = counts
    if average_per_person:
        sums = sums / np.maximum(counts, 1)
        votes = (counts > 0).astype(np.int64)
    with np.errstate(invalid="ignore"):
        means: Floats = (weights @ sums) / (weights @ votes)
    return means


def weighted_tars(
    scores: ComparisonScores,
    rates: tuple[float, ...],
    weights: npt.NDArray[np.integer],
    *,
    average_per_person: bool,
) -> Floats:
    """TAR at each FAR when the comparisons of each person count as often as the person was drawn.

    Exact: the result is that of `tar_at_far` (rule "budget") on a data set in which each score is
    repeated by its person's weight, except that a budget of 0 is not NaN but accepts no false one.
    The top of the non-mated scores is sorted once; each replicate sums weights along it, deeper where
    the people who own the top were not drawn.

    Memory: 8 bytes a non-mated score and a few hundred MB. Time: replicates x (the larger of the
    highest budget and the number of mated scores), and one partial sort of the scores.

    Args:
        scores: Mated and non-mated scores with their people.
        rates: False accept rates.
        weights: (R, K) integers, K people of `scores`.
        average_per_person: As for `weighted_means`, for the mated scores. False accepts are always
            counted by comparison.

    Returns:
        (R, T) float64; NaN where nobody with a mated score was drawn.

    Example:
        >>> scores = ComparisonScores.from_subjects(
        ...     [0.9, 0.2], [0.5, 0.1], mated_subjects=[1, 2], non_mated_subjects=[1, 2]
        ... )
        >>> weighted_tars(
        ...     scores, (0.5,), np.array([[1, 1], [0, 2]]), average_per_person=False
        ... )
        array([[1.],
               [1.]])
    """
    totals = weights @ np.bincount(scores.non_mated_people, minlength=scores.num_people)
    budgets = np.stack([error_budgets(rate, totals) for rate in rates], axis=1)
    found = np.empty((len(weights), len(rates)))
    engine = _WeightedTar(scores, 2 * int(budgets.max()) + 64, average_per_person)
    step = max(1, _BLOCK_CELLS // len(scores.mated))
    for start in range(0, len(weights), step):
        rows = slice(start, start + step)
        found[rows] = engine.tars(weights[rows].astype(np.int64), budgets[rows])
    return found


class _WeightedTar:
    """Scores sorted once, and the TAR of any number of weightings of their people."""

    def __init__(self, scores: ComparisonScores, depth: int, average_per_person: bool) -> None:
        self.non_mated: Scores = scores.non_mated
        self.non_mated_people = scores.non_mated_people
        self._reach(depth)
        order = np.argsort(scores.mated)
        self.mated: Scores = scores.mated[order]
        self.mated_people = scores.mated_people[order[::-1]]
        counts = np.bincount(scores.mated_people, minlength=scores.num_people)
        self.shares: npt.NDArray[Any] = np.ones_like(counts)
        # With equally many for everybody both means are one, and integers are exact.
        if average_per_person and len(np.unique(counts[counts > 0])) > 1:
            self.shares = 1 / np.maximum(counts, 1)

    def _reach(self, depth: int) -> None:
        """Sorts the `depth` largest non-mated scores, of which usually few are needed."""
        total = len(self.non_mated)
        depth = min(depth, total)
        largest = np.argpartition(self.non_mated, total - depth)[total - depth :]
        order = largest[np.argsort(self.non_mated[largest])[::-1]]
        self.tops = self.non_mated[order]
        self.top_people = self.non_mated_people[order]

    def tars(self, weights: Counts, budgets: Counts) -> Floats:
        """(r, T) TAR of r weightings at the T budgets of each."""
        cutoffs = self._cutoffs(weights, budgets)
        accepted = len(self.mated) - np.searchsorted(self.mated, cutoffs, side="right")
        votes = (weights * self.shares)[:, self.mated_people]
        sums = np.zeros((len(weights), len(self.mated) + 1), dtype=votes.dtype)
        np.cumsum(votes, axis=1, out=sums[:, 1:])
        with np.errstate(invalid="ignore"):
            tars: Floats = np.take_along_axis(sums, accepted, axis=1) / sums[:, -1:]
        return tars

    def _cutoffs(self, weights: Counts, budgets: Counts) -> Scores:
        """(r, T) the largest non-mated score that must be refused; -inf where none must."""
        if len(weights) > 1 and len(weights) * len(self.tops) > _BLOCK_CELLS:
            halves = (slice(None, len(weights) // 2), slice(len(weights) // 2, None))
            return np.concatenate([self._cutoffs(weights[rows], budgets[rows]) for rows in halves])
        sums = np.cumsum(weights[:, self.top_people], axis=1)
        if len(self.tops) < len(self.non_mated) and (sums[:, -1:] <= budgets).any():
            self._reach(2 * len(self.tops))
            return self._cutoffs(weights, budgets)
        # The first score with which the budget would be exceeded is the (budget+1)-th largest.
        place = np.stack(
            [np.count_nonzero(sums <= column[:, None], axis=1) for column in budgets.T], axis=1
        )
        padded = np.append(self.tops, self.tops.dtype.type(-np.inf))
        cutoffs: Scores = padded[place]
        return cutoffs
