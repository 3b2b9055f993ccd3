"""Counts false matches of people that a model was not fitted to, by population, kind and look of both sides.

Intervals: 95 % percentile intervals of 300 bootstrap replicates that draw people, not pairs: both sides of a
comparison are weighted by how often their people were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.fusion.calibration import poorness
from probefusion.fusion.fit_non_mated import Sets
from probefusion.fusion.non_mated import Floats, NonMatedModel

__all__ = [
    "ALL",
    "REPLICATES",
    "Group",
    "Key",
    "Look",
    "Tally",
    "draw_people",
    "look_of",
    "tally_comparisons",
]

REPLICATES = 300

ALL = -1
"""The group of all comparisons together."""

Whole: TypeAlias = npt.NDArray[np.int64]

Group: TypeAlias = Any
"""What an interval is made of: `ALL`, or a population and which sides are degraded, as `(2, (False, True))`."""

Key: TypeAlias = tuple[Any, ...]
"""A group, then what is told apart in a calibration, then the rate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """How looks are told.

    Args:
        are_poor: Which kinds are of degraded sets.
        border: From where on a template looks so.
    """

    are_poor: npt.NDArray[np.bool_]
    border: float


class Tally:
    """Errors and trials of one kind of comparison, with those of the bootstrap replicates."""

    def __init__(self) -> None:
        self.errors = np.zeros(1 + REPLICATES)
        self.trials = np.zeros(1 + REPLICATES)
        self.people: set[int] = set()

    def add(self, errors: Floats, trials: Floats, people: Whole) -> None:
        """Counts more of them."""
        self.errors += errors
        self.trials += trials
        self.people.update(people.tolist())

    @property
    def num_trials(self) -> int:
        """Comparisons or searches."""
        return int(self.trials[0])

    def rate(self) -> tuple[float, float, float]:
        """Rate and its interval."""
        drawn = self.errors[1:] / np.maximum(self.trials[1:], 1e-12)
        low, high = np.quantile(drawn, [0.025, 0.975])
        rate = float(self.errors[0] / self.trials[0])
        return rate, min(float(low), rate), max(float(high), rate, 3 / self.num_trials)


def draw_people(people: Whole, length: int, rng: np.random.Generator) -> Floats:
    """How often each was drawn: all once, then in each replicate, (1 + `REPLICATES`, length)."""
    chances = np.zeros(length)
    chances[people] = 1 / len(people)
    drawn = rng.multinomial(len(people), chances, size=REPLICATES)
    return np.concatenate([np.ones((1, length)), drawn])


def look_of(model: NonMatedModel, sets: Sets, are_poor: npt.NDArray[np.bool_]) -> Look:
    """The border halfway between the means of clean and of degraded sets."""
    found = poorness(sets.vectors @ model.directions.T, are_poor)
    is_poor = are_poor[sets.kinds]
    border = float((found[is_poor].mean() + found[~is_poor].mean()) / 2)
    return Look(are_poor=are_poor, border=border)


def tally_comparisons(
    model: NonMatedModel,
    look: Look,
    sets: Sets,
    is_degraded: npt.NDArray[np.bool_],
    rates: Sequence[float],
    draws: Floats,
    tallies: dict[Key, Tally],
) -> None:
    """Tallies the comparisons of these people, population by population and stratum by stratum.

    Args:
        model: Fitted to other people.
        look: How looks are told by the mean templates of that model.
        sets: The templates.
        is_degraded: (T,) whether each set is degraded.
        rates: What the model is asked for.
        draws: As `draw_people` gives them.
        tallies: What is added to.
    """
    looks = poorness(sets.vectors @ model.directions.T, look.are_poor) >= look.border
    terms = model.terms(sets.vectors, sets.num_images)
    for population in np.unique(sets.populations):
        cells = {}
        for poor, size, degraded in np.ndindex(2, 1 + int(sets.num_images.max()), 2):
            rows = np.flatnonzero(
                (sets.populations == population) & (looks == poor) & (sets.num_images == size)
                & (is_degraded == degraded)
            )  # fmt: skip
            if len(rows):
                cells[(poor, size), bool(degraded)] = rows
        pairs = combinations_with_replacement(cells.items(), 2)
        for ((first, one_poor), rows), ((second, other_poor), others) in pairs:
            apart = sets.different(rows, others)
            if rows is others:
                apart = np.triu(apart, 1)
            group = int(population), tuple(sorted((one_poor, other_poor)))
            trials = _weighted_count(sets, rows, others, apart, draws)
            similarities = sets.vectors[rows] @ sets.vectors[others].T
            people = np.union1d(sets.people[rows], sets.people[others])
            sides = sorted((first, second))
            limits = model.thresholds(terms[rows], terms[others], rates)
            for rate, wanted in zip(rates, limits, strict=True):
                a, b = np.nonzero((similarities >= wanted) & apart)
                errors = np.einsum(
                    "rm,rm->r",
                    draws[:, sets.people[rows[a]]],
                    draws[:, sets.people[others[b]]],
                )
                for whose in (group, ALL):
                    tallies[(whose, *sides[0], *sides[1], rate)].add(errors, trials, people)


def _weighted_count(
    sets: Sets, rows: Whole, others: Whole, apart: npt.NDArray[Any], draws: Floats
) -> Floats:
    """Comparisons in each replicate; those that are left out count by their share of all."""
    pairs = draws[:, sets.people[rows]].sum(axis=1) * draws[:, sets.people[others]].sum(axis=1)
    found: Floats = pairs * (np.count_nonzero(apart) / pairs[0])
    return found
