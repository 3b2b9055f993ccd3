"""How much the splits of a set speak for two people, and the split that does so most."""

from __future__ import annotations

import math
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

    The score is the root of the summed squares of the candidates' odds (with a sharpness of 2), divided by the number
    of images, as a logarithm: many splits that speak for two people weigh more than a single one, and among many
    images something is unlike the rest by chance. With infinite sharpness it is the logarithm of the worst odds.

    Args:
        stack: Sets of at least two images.
        expected: What to expect of one person.
        looked: The candidates, if they were looked at before.
    """
    looked = looked or Looked.at(stack)
    odds = np.maximum(expected.scores(looked.similarities, looked.halves), _LEAST)
    best = first_of_each(looked.sets, odds)
    parts, worst, similarities = looked.parts[best], odds[best], looked.similarities[best]
    doubtful = np.flatnonzero(worst >= 0)
    if len(doubtful):
        again = stack[doubtful]
        moved = lighter(refined(again, parts[doubtful], expected), again.weights)
        everywhere = np.arange(len(again))
        cosines = again.similarities(everywhere, moved)
        better = expected.scores(cosines, again.halves(everywhere, moved))
        rows = better >= worst[doubtful]
        parts[doubtful[rows]], worst[doubtful[rows]] = moved[rows], better[rows]
        similarities[doubtful[rows]] = cosines[rows]
    scores = worst
    if math.isfinite(expected.sharpness):
        summed = _together(looked.sets, odds, odds[best], expected.sharpness)
        scores = summed - _chances(stack.num_images, expected.sharpness)
    return Judged(parts=parts, scores=scores, worst=worst, similarities=similarities)


def scores_alone(stack: Stack, expected: Expectation) -> FloatRows:
    """(N,) score of each image of a single set against all others together."""
    count = stack.num_images
    alone, sets = np.eye(count, dtype=bool), np.zeros(count, dtype=np.intp)
    odds = expected.scores(stack.similarities(sets, alone), stack.halves(sets, alone))
    scores: FloatRows = odds - _chances(count, expected.sharpness)
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


def _together(sets: Places, odds: FloatRows, highest: FloatRows, sharpness: float) -> FloatRows:
    """(P,) logarithm of the summed powers of each set's odds, and their root; `highest` (P,) keeps it finite."""
    powers = np.exp(sharpness * (odds - highest[sets]))
    summed: FloatRows = highest + np.log(np.add.reduceat(powers, starts_of(sets))) / sharpness
    return summed


def _chances(count: int, sharpness: float) -> float:
    """What a score loses because there are `count` images any of which could be unlike the rest."""
    return math.log(count) if math.isfinite(sharpness) else 0.0
