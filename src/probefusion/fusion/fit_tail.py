"""Fits the tail of `NonMatedModel`: how often, and how far, different people are more alike than usual.

All pairs are looked at, not a sample of them: searches in a gallery of 2,000 rest on rates of one comparison in
200,000 and less, and of 8,000 pairs of each two kinds of sets so few lay in the tail that its shape differed from
one half of the people to the other by enough to double such a rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.fusion.non_mated import Floats, tail_terms
from probefusion.metrics.tails import pareto_shape

__all__ = ["Events", "Moments", "Sets", "Tail", "exceedances", "fit_tail"]

_ROWS = 400
"""Rows of a block of pairs that are looked at together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """Templates of known kinds of sets, of people of one or several populations.

    Args:
        vectors: (T, D) unit vectors.
        num_images: (T,) images in each.
        kinds: (T,) numbers of what the sets are, as "poor sets of the second population".
        populations: (T,) numbers of the population; only people of one are compared.
        people: (T,) numbers of the person, or of all people that are related.
        individuals: (T,) numbers of the person alone.
        media: (T,) numbers of the medium, or -1; sets of one medium are not compared.
    """

    vectors: Floats
    num_images: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    populations: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    individuals: npt.NDArray[np.int64]
    media: npt.NDArray[np.int64]

    def part(self, rows: npt.NDArray[np.int64]) -> Sets:
        """Some of them."""
        return Sets(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def different(
        self, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """(A, B) booleans: whether two are of different people, and may be compared."""
        apart: npt.NDArray[np.bool_] = self.people[rows][:, None] != self.people[others]
        media = self.media[rows][:, None]
        apart &= (media < 0) | (media != self.media[others])
        return apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Location and spread of the similarities of different people.

    Args:
        location: (k + 2, k + 2) L of `probefusion.fusion.non_mated`.
        log_variance: (k + 2, k + 2) V.
    """

    location: Floats
    log_variance: Floats

    def tail_terms(self, first: Floats, second: Floats, *, paired: bool = False) -> Floats:
        """What rate and excess of the tail depend on, (..., 5): t of `probefusion.fusion.non_mated`."""
        terms = tail_terms(first, second, self.location, self.log_variance, paired=paired)
        return np.stack(terms, axis=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Pairs of different people above the level.

    Args:
        terms: (m, 5) their tail terms.
        excesses: (m,) by how much they exceed the level, > 0.
        weights: (m,) by which each two kinds of sets count alike; those of all pairs add up to 1.
    """

    terms: Floats
    excesses: Floats
    weights: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Tail:
    """The tail of the model, as `NonMatedModel` holds it."""

    log_rate: Floats
    log_excess: Floats
    shape: float


def exceedances(
    sets: Sets,
    terms: Floats,
    moments: Moments,
    pairs: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    level: float,
    *,
    few: int,
) -> Events:
    """All pairs above the level.

    Args:
        sets: The templates.
        terms: (T, k + 2) x of each.
        moments: What similarities are measured against.
        pairs: Rows of each two kinds of sets that are compared.
        level: In scales above the location.
        few: Two kinds of fewer pairs than this count for less than the others.
    """
    found: list[Floats] = []
    excesses: list[Floats] = []
    weights: list[Floats] = []
    total = 0.0
    for rows, others in pairs:
        is_same = len(rows) == len(others) and bool((rows == others).all())
        count, start = 0, len(excesses)
        for at in range(0, len(rows), _ROWS):
            some = rows[at : at + _ROWS]
            apart = sets.different(some, others)
            if is_same:
                apart &= np.arange(len(others)) > np.arange(at, at + len(some))[:, None]
            *numbers, place, half = tail_terms(
                terms[some], terms[others], moments.location, moments.log_variance, paired=False
            )
            similarities = sets.vectors[some] @ sets.vectors[others].T
            above = (similarities - place) / np.exp(half) - level
            is_event = (above > 0) & apart
            count += int(np.count_nonzero(apart))
            found.append(np.stack([part[is_event] for part in (*numbers, place, half)], axis=-1))
            excesses.append(above[is_event])
        share = count / max(count, few)
        total += share
        weights += [np.full(len(each), share / max(count, 1)) for each in excesses[start:]]
    return Events(
        terms=np.concatenate(found),
        excesses=np.concatenate(excesses),
        weights=np.concatenate(weights) / total,
    )


def fit_tail(sample: Floats, weights: Floats, events: Events) -> Tail:
    """Rate and mean excess by likelihood, and the shape that is common to all.

    Args:
        sample: (P, 5) tail terms of pairs above and below the level, drawn by chance.
        weights: (P,) of these; they add up to 1.
        events: All pairs above it.
    """
    log_rate = _log_linear(sample, weights, events.terms, events.weights)
    share = events.weights / events.weights.sum()
    log_excess = _log_linear(events.terms, share, events.terms, share * events.excesses)
    ratios = events.excesses / np.exp(events.terms @ log_excess)
    shape = pareto_shape(ratios, weights=share)
    mean_of = np.array([np.log1p(-shape), 0, 0, 0, 0])  # mean = b / (1 - shape)
    return Tail(log_rate=log_rate, log_excess=log_excess + mean_of, shape=shape)


def _log_linear(columns: Floats, exposures: Floats, at: Floats, answers: Floats) -> Floats:
    """Coefficients c of a mean exp(columns c), by Poisson likelihood and Newton steps.

    Args:
        columns: (P, 5) where the mean is added up.
        exposures: (P,) by what weight.
        at: (m, 5) where answers are.
        answers: (m,) the answers, by their weights; those elsewhere are 0.
    """
    found = np.zeros(columns.shape[1])
    found[0] = np.log(max(answers.sum() / exposures.sum(), 1e-9))
    penalty = exposures.sum() * np.array([0, *[1e-4] * (columns.shape[1] - 1)])
    seen = at.T @ answers
    for _ in range(25):
        mean = exposures * np.exp(np.clip(columns @ found, -15, 5))
        slope = seen - columns.T @ mean - penalty * found
        curve = (columns * mean[:, None]).T @ columns + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curve, slope)
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return found
