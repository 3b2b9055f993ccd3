"""Fits `NonMatedModel` to pairs of different people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError
from probefusion.fusion.non_mated import Floats, NonMatedModel, number_term
from probefusion.metrics.tails import pareto_shape

__all__ = ["Sets", "fit_non_mated", "pairs_of"]

_LEVEL = 0.985
"""Share of the pairs below the level from which on the tail is modelled."""

_PAIRS_OF_KINDS = 8_000
"""Pairs at most of each two kinds of sets; each two kinds count alike."""

_RIDGE = 1e-6
_ROUNDS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """Templates of known kinds of sets, of people of one or several populations.

    Args:
        vectors: (T, D) unit vectors.
        num_images: (T,) images in each.
        kinds: (T,) numbers of what the sets are, as "poor sets of the second population".
        populations: (T,) numbers of the population; only people of one are compared.
        people: (T,) numbers of the person, or of all people that are related.
        media: (T,) numbers of the medium, or -1; sets of one medium are not compared.
    """

    vectors: Floats
    num_images: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    populations: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
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


def pairs_of(sets: Sets) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Rows of each two kinds and numbers of images that are compared, of one population each."""
    found = []
    for population in np.unique(sets.populations):
        members = np.flatnonzero(sets.populations == population)
        cells = np.stack([sets.kinds[members], sets.num_images[members]], axis=1)
        each = [members[(cells == cell).all(axis=1)] for cell in np.unique(cells, axis=0)]
        found += [(each[i], each[j]) for i in range(len(each)) for j in range(i, len(each))]
    return found


def fit_non_mated(sets: Sets, *, seed: int = 0) -> NonMatedModel:
    """Fits the model: moments by least squares, the tail by likelihood, each two kinds counting alike.

    Args:
        sets: The templates; at least two people of a population.
        seed: Of the choice of pairs where there are many.

    Raises:
        EmptySetError: If there is nobody to be mistaken for.
    """
    kinds = np.unique(sets.kinds)
    directions = np.stack([sets.vectors[sets.kinds == kind].mean(axis=0) for kind in kinds])
    cosines = sets.vectors @ directions.T
    lowest, highest = cosines.min(axis=0), cosines.max(axis=0)
    terms = np.column_stack([np.ones(len(cosines)), cosines, number_term(sets.num_images)])
    first, second, weights = _chosen_pairs(sets, seed)
    similarities = np.einsum("ij,ij->i", sets.vectors[first], sets.vectors[second])
    columns = _symmetric_columns(terms[first], terms[second])
    solver = np.linalg.inv(
        (columns * weights[:, None]).T @ columns + _RIDGE * np.eye(columns.shape[1])
    )
    moment = solver @ (columns.T @ (weights * similarities))
    residual = similarities - columns @ moment
    spread = solver @ (columns.T @ (weights * np.log(np.maximum(residual**2, 1e-8))))
    for _ in range(_ROUNDS):
        variance = np.exp(np.clip(columns @ spread, -12, 2))
        spread = spread + solver @ (columns.T @ (weights * (residual**2 / variance - 1)))
    half = columns @ spread / 2
    z = residual / np.exp(half)
    level = float(np.quantile(z, _LEVEL))
    log_first, log_second = terms[first, -1], terms[second, -1]
    tail = np.stack(
        [
            np.ones(len(z)),
            log_first + log_second,
            log_first * log_second,
            similarities - residual,
            half,
        ],
        axis=1,
    )
    is_above = z > level
    log_rate = _log_linear(tail, is_above.astype(np.float64), weights)
    excesses = z[is_above] - level
    log_excess = _log_linear(tail[is_above], excesses, weights[is_above])
    means = np.exp(tail[is_above] @ log_excess)
    shape = pareto_shape(excesses / means)
    size = terms.shape[1]
    return NonMatedModel(
        directions=directions,
        lowest=lowest,
        highest=highest,
        most_images=int(sets.num_images.max()),
        location=_square(moment, size),
        log_variance=_square(spread, size),
        level=level,
        log_rate=log_rate,
        log_excess=log_excess + np.array([np.log1p(-shape), 0, 0, 0, 0]),  # mean = b / (1 - shape)
        shape=shape,
    )


def _chosen_pairs(
    sets: Sets, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Rows of the pairs, and weights by which each two kinds count alike; the weights add up to 1."""
    rng = np.random.default_rng(seed)
    first, second, weights = [], [], []
    for rows, others in pairs_of(sets):
        apart = sets.different(rows, others)
        places = np.flatnonzero(apart)
        if len(places) == 0:
            continue
        if len(places) > _PAIRS_OF_KINDS:
            places = rng.choice(places, _PAIRS_OF_KINDS, replace=False)
        a, b = np.unravel_index(places, apart.shape)
        first.append(rows[a])
        second.append(others[b])
        weights.append(np.full(len(places), 1 / max(len(places), 2_000)))
    if not first:
        raise EmptySetError(
            "data: there are no two people to compare, so nobody to be mistaken for. Give more people."
        )
    together = np.concatenate(weights)
    return np.concatenate(first), np.concatenate(second), together / together.sum()


def _symmetric_columns(first: Floats, second: Floats) -> Floats:
    """Products of the sides' terms, symmetric in them; one column for each place of half the square."""
    rows, columns = np.triu_indices(first.shape[1])
    mixed = first[:, rows] * second[:, columns]
    mixed += first[:, columns] * second[:, rows]
    return mixed


def _square(found: Floats, size: int) -> Floats:
    """The symmetric matrix S with x_a S x_b equal to the columns times `found`."""
    square = np.zeros((size, size))
    square[np.triu_indices(size)] = found
    return square + square.T


def _log_linear(columns: Floats, answers: Floats, weights: Floats) -> Floats:
    """Coefficients of a mean exp(columns c) that fits the answers (Poisson likelihood, Newton steps)."""
    found = np.zeros(columns.shape[1])
    found[0] = np.log(max(np.average(answers, weights=weights), 1e-9))
    penalty = weights.sum() * np.array([0, *[1e-4] * (columns.shape[1] - 1)])
    for _ in range(25):
        mean = np.exp(np.clip(columns @ found, -15, 5))
        slope = columns.T @ (weights * (answers - mean)) - penalty * found
        curve = (columns * (weights * mean)[:, None]).T @ columns + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curve, slope)
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return found
