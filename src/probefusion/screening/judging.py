"""How much the splits of a set speak for two people, and the split that does so most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probefusion.screening.assignment import refined
from probefusion.screening.expectation import Expectation, Halves
from probefusion.screening.splits import candidate_splits, lighter
from probefusion.screening.stacks import (
    Flags,
    FloatRows,
    Places,
    Stack,
    first_of_each,
    starts_of,
)

__all__ = ["Judged", "Looked", "judge_splits", "outlying", "scores_alone"]

_ROUNDS = 32
"""Images taken out one after the other, at most."""
_SHARPNESS = 2.0
"""Power at which the odds of a set's splits are added up: with 1 many weak ones count most, with more the worst."""
_LEAST = -30.0
"""Splits without templates speak for one person, by this logarithm of odds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """P sets of N images, each in two.

    Args:
        parts: (P, N) which images are in the part with the smaller share of the weight, at the worst split.
        scores: (P,) float64, how much the splits together speak for two people, a logarithm of odds.
        worst: (P,) float64, the same of the worst split alone.
        similarities: (P,) float64, cosines between the templates of its halves.
    """

    parts: Flags
    scores: FloatRows
    worst: FloatRows
    similarities: FloatRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """The splits of sets that were looked at.

    Args:
        sets: (K,) of which set each is, ascending; of every set there is one.
        parts: (K, N), as `candidate_splits` gives them.
        similarities: (K,) cosines between the templates of the halves; NaN where there is none.
        halves: What the expectation needs to know of them.
    """

    sets: Places
    parts: Flags
    similarities: FloatRows
    halves: Halves

    @staticmethod
    def at(stack: Stack) -> Looked:
        """Looks at all candidates."""
        sets, parts = candidate_splits(stack.cosines, stack.weights)
        return Looked(
            sets=sets,
            parts=parts,
            similarities=stack.similarities(sets, parts),
            halves=stack.halves(sets, parts),
        )


def judge_splits(stack: Stack, expected: Expectation, looked: Looked | None = None) -> Judged:
    """How much all candidates speak for two people, and the worst of them, its images put where each belongs.

    The score is the root of the mean square of the candidates' odds, per image of the set, as a logarithm: many
    splits that speak for two people weigh more than a single one, and among many images something is unlike the rest
    by chance.

    Args:
        stack: Sets of at least two images.
        expected: What to expect of one person.
        looked: The candidates, if they were looked at before.
    """
    looked = looked or Looked.at(stack)
    odds = np.maximum(expected.scores(looked.similarities, looked.halves), _LEAST)
    best = first_of_each(looked.sets, odds)
    found = Judged(
        parts=looked.parts[best],
        scores=_together(looked.sets, odds, odds[best]) - _chances(stack.num_images),
        worst=odds[best],
        similarities=looked.similarities[best],
    )
    doubtful = np.flatnonzero(found.worst >= 0)
    if not len(doubtful):
        return found
    again = stack[doubtful]
    parts = lighter(refined(again, found.parts[doubtful], expected), again.weights)
    everywhere = np.arange(len(again))
    similarities = again.similarities(everywhere, parts)
    better = expected.scores(similarities, again.halves(everywhere, parts))
    rows = better >= found.worst[doubtful]
    found.parts[doubtful[rows]] = parts[rows]
    found.worst[doubtful[rows]] = better[rows]
    found.similarities[doubtful[rows]] = similarities[rows]
    return found


def scores_alone(stack: Stack, expected: Expectation) -> FloatRows:
    """(N,) score of each image of a single set against all others together."""
    count = stack.num_images
    alone, sets = np.eye(count, dtype=bool), np.zeros(count, dtype=np.intp)
    odds = expected.scores(stack.similarities(sets, alone), stack.halves(sets, alone))
    scores: FloatRows = odds - _chances(count)
    return scores


def outlying(stack: Stack, expected: Expectation, least: int) -> Places:
    """Images that are unlike the rest one by one: the worst is taken out, then the rest is judged again.

    Args:
        stack: A single set.
        expected: What to expect of one person.
        least: Images that must remain.

    Returns:
        Their places, ascending; at most 32, and no more than half of the set.
    """
    count = stack.num_images
    rows = np.arange(count)
    most = min(_ROUNDS, count // 2, count - least)
    for _ in range(max(most, 0)):
        scores = scores_alone(stack.images(rows), expected)
        worst = int(np.argmax(scores))
        if scores[worst] <= expected.threshold:
            break
        rows = np.delete(rows, worst)
    return np.setdiff1d(np.arange(count), rows)


def _together(sets: Places, odds: FloatRows, highest: FloatRows) -> FloatRows:
    """(P,) logarithm of the root of the sum of the squared odds of each set; `highest` (P,) keeps it finite."""
    powers = np.exp(_SHARPNESS * (odds - highest[sets]))
    summed: FloatRows = highest + np.log(np.add.reduceat(powers, starts_of(sets))) / _SHARPNESS
    return summed


def _chances(count: int) -> float:
    """What a score loses because there are `count` images any of which could be unlike the rest."""
    return float(np.log(count)) / _SHARPNESS
