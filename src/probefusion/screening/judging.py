"""The split of a set that speaks most for two people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.screening.assignment import refined
from probefusion.screening.elements import Elements, FloatRows
from probefusion.screening.expectation import Expectation, Halves
from probefusion.screening.splits import lighter, splits_of_many
from probefusion.screening.stacks import Flags, Places, Stack, first_of_each, stacked

__all__ = [
    "Looked",
    "Split",
    "Splits",
    "outlying",
    "scores_alone",
    "worst_split",
    "worst_splits",
]

_ROUNDS = 32
"""Images taken out one after the other, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A set in two.

    Args:
        part: (N,) which images are in the part with the smaller share of the weight.
        score: Log-likelihood ratio of "two people" to "one person".
        similarity: Cosine between the templates of the halves.
    """

    part: npt.NDArray[np.bool_]
    score: float
    similarity: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """P sets of N images, each in two; as `Split` holds one.

    Args:
        parts: (P, N).
        scores: (P,) float64.
        similarities: (P,) float64.
    """

    parts: Flags
    scores: FloatRows
    similarities: FloatRows


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """The splits of sets that were looked at.

    Args:
        sets: (K,) of which set each is, ascending; of every set there is one.
        parts: (K, N), as `splits_of_many` gives them.
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
        sets, parts = splits_of_many(stack.alone, stack.weights)
        return Looked(
            sets=sets,
            parts=parts,
            similarities=stack.similarities(sets, parts),
            halves=stack.halves(sets, parts),
        )


def worst_split(elements: Elements, expected: Expectation, looked: Looked | None = None) -> Split:
    """The worst split of one set, see `worst_splits`.

    Args:
        elements: At least two images.
        expected: What to expect of one person.
        looked: The candidates, if they were looked at before.
    """
    found = worst_splits(stacked(elements), expected, looked)
    return Split(
        part=found.parts[0],
        score=float(found.scores[0]),
        similarity=float(found.similarities[0]),
    )


def worst_splits(stack: Stack, expected: Expectation, looked: Looked | None = None) -> Splits:
    """The split with the highest score of all candidates, its images then put where each belongs; of each set.

    Args:
        stack: Sets of at least two images.
        expected: What to expect of one person.
        looked: The candidates, if they were looked at before.
    """
    looked = looked or Looked.at(stack)
    scores = expected.scores(looked.similarities, looked.halves)
    best = first_of_each(looked.sets, scores)
    found = Splits(
        parts=looked.parts[best], scores=scores[best], similarities=looked.similarities[best]
    )
    doubtful = np.flatnonzero(found.scores >= 0)
    if not len(doubtful):
        return found
    again = stack[doubtful]
    parts = lighter(refined(again, found.parts[doubtful], expected), again.weights)
    everywhere = np.arange(len(again))
    similarities = again.similarities(everywhere, parts)
    better = expected.scores(similarities, again.halves(everywhere, parts))
    rows = better >= found.scores[doubtful]
    found.parts[doubtful[rows]] = parts[rows]
    found.scores[doubtful[rows]] = better[rows]
    found.similarities[doubtful[rows]] = similarities[rows]
    return found


def scores_alone(elements: Elements, expected: Expectation) -> FloatRows:
    """(N,) score of each image against all others together."""
    alone = np.eye(len(elements), dtype=bool)
    stack, sets = stacked(elements), np.zeros(len(elements), dtype=np.intp)
    return expected.scores(stack.similarities(sets, alone), stack.halves(sets, alone))


def outlying(elements: Elements, expected: Expectation, least: int) -> npt.NDArray[np.intp]:
    """Images that are unlike the rest one by one: the worst is taken out, then the rest is judged again.

    Args:
        elements: The images.
        expected: What to expect of one person.
        least: Images that must remain.

    Returns:
        Their places, ascending; at most 32, and no more than half of the set.
    """
    rows = np.arange(len(elements))
    most = min(_ROUNDS, len(elements) // 2, len(elements) - least)
    for _ in range(max(most, 0)):
        scores = scores_alone(elements[rows], expected)
        worst = int(np.argmax(scores))
        if scores[worst] <= expected.threshold:
            break
        rows = np.delete(rows, worst)
    return np.setdiff1d(np.arange(len(elements)), rows)
