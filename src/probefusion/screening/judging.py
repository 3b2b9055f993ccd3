"""The split of a set that speaks most for two people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.screening.assignment import refined
from probefusion.screening.elements import Elements, FloatRows
from probefusion.screening.expectation import Expectation, Halves
from probefusion.screening.splits import candidate_splits

__all__ = ["Looked", "Split", "halves_of", "outlying", "scores_alone", "worst_split"]

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


def halves_of(elements: Elements, parts: npt.NDArray[np.bool_]) -> Halves:
    """What the expectation needs to know of splits (B, N)."""
    masses = elements.masses
    inside = parts @ masses
    counts = parts.sum(axis=1)
    return Halves(
        part_masses=inside,
        other_masses=np.maximum(masses.sum() - inside, 0.0),
        part_counts=counts,
        other_counts=len(elements) - counts,
        part_weights=parts @ elements.weights,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """The splits of a set that were looked at.

    Args:
        parts: (B, N), as `candidate_splits` gives them.
        similarities: (B,) cosines between the templates of the halves; NaN where there is none.
        halves: What the expectation needs to know of them.
    """

    parts: npt.NDArray[np.bool_]
    similarities: FloatRows
    halves: Halves

    @staticmethod
    def at(elements: Elements) -> Looked:
        """Looks at all candidates."""
        parts = candidate_splits(elements.alone, elements.weights)
        return Looked(
            parts=parts,
            similarities=elements.similarities(parts),
            halves=halves_of(elements, parts),
        )


def worst_split(elements: Elements, expected: Expectation, looked: Looked | None = None) -> Split:
    """The split with the highest score of all candidates, its images then put where each belongs.

    Args:
        elements: At least two images.
        expected: What to expect of one person.
        looked: The candidates, if they were looked at before.
    """
    looked = looked or Looked.at(elements)
    scores = expected.scores(looked.similarities, looked.halves)
    best = int(np.argmax(scores))
    first = Split(
        part=looked.parts[best],
        score=float(scores[best]),
        similarity=float(looked.similarities[best]),
    )
    if first.score < 0:
        return first
    part = refined(elements, first.part, expected)
    if elements.weights[part].sum() > 0.5:
        part = ~part
    (similarity,) = elements.similarities(part[None])
    (score,) = expected.scores(np.array([similarity]), halves_of(elements, part[None]))
    if not score >= first.score:
        return first
    return Split(part=part, score=float(score), similarity=float(similarity))


def scores_alone(elements: Elements, expected: Expectation) -> FloatRows:
    """(N,) score of each image against all others together."""
    alone = np.eye(len(elements), dtype=bool)
    return expected.scores(elements.similarities(alone), halves_of(elements, alone))


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
