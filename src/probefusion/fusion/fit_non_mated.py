"""Fits `NonMatedModel` to pairs of different people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError
from probefusion.fusion.fit_tail import Moments, Sets, exceedances, fit_tail
from probefusion.fusion.non_mated import Floats, NonMatedModel, number_term

__all__ = ["Sets", "fit_non_mated", "pairs_of"]

_LEVEL = 0.995
"""Share of the pairs below the level from which on the tail is modelled."""

_LEAST_ABOVE = 30
"""Of few pairs so many lie above it."""

_PAIRS_OF_KINDS = 8_000
"""Pairs at most of each two kinds of sets, for the moments; each two kinds count alike. The tail sees all."""

_FEW = 2_000
"""Two kinds of sets of fewer pairs count for less than others, as their pairs do."""

_FEWEST_EVENTS = 2
"""Pairs above the level without which there is no tail."""

_BLOCK = 4_096
"""Pairs whose products are made at a time: few enough for a processor's cache."""

_RIDGE = 1e-6
_ROUNDS = 6


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
        EmptySetError: If there is nobody to be mistaken for, or all are equally alike.
    """
    kinds = np.unique(sets.kinds)
    directions = np.stack([sets.vectors[sets.kinds == kind].mean(axis=0) for kind in kinds])
    cosines = sets.vectors @ directions.T
    lowest, highest = cosines.min(axis=0), cosines.max(axis=0)
    terms = np.column_stack([np.ones(len(cosines)), cosines, number_term(sets.num_images)])
    first, second, weights = _chosen_pairs(sets, seed)
    similarities = _similarities(sets.vectors, first, second)
    one, other = terms[first], terms[second]
    gram = _gram(one, other, weights)
    solver = np.linalg.inv(gram + _RIDGE * np.eye(len(gram)))
    size = one.shape[1]
    moment = _square(solver @ _folded(one, other, weights * similarities), size)
    residual = similarities - _form(one, moment, other)
    logs = np.log(np.maximum(residual**2, 1e-8))
    spread = _square(solver @ _folded(one, other, weights * logs), size)
    for _ in range(_ROUNDS):
        variance = np.exp(np.clip(_form(one, spread, other), -12, 2))
        wanted = _folded(one, other, weights * (residual**2 / variance - 1))
        spread = spread + _square(solver @ wanted, size)
    moments = Moments(location=moment, log_variance=spread)
    z = residual / np.exp(_form(one, spread, other) / 2)
    level = float(np.quantile(z, max(0.5, min(_LEVEL, 1 - _LEAST_ABOVE / len(z)))))
    sample = moments.tail_terms(one, other, paired=True)
    events = exceedances(sets, terms, moments, pairs_of(sets), level, few=_FEW)
    if len(events.excesses) < _FEWEST_EVENTS:
        raise EmptySetError(
            f"data: expected pairs of different people that are more alike than most, got {len(events.excesses)} of "
            f"{len(z):,}: nearly all pairs are equally alike, as of one picture under many names, or of black ones. "
            f"Give faces of different people."
        )
    tail = fit_tail(sample, weights, events)
    return NonMatedModel(
        directions=directions,
        lowest=lowest,
        highest=highest,
        most_images=int(sets.num_images.max()),
        location=moments.location,
        log_variance=moments.log_variance,
        level=level,
        log_rate=tail.log_rate,
        log_excess=tail.log_excess,
        shape=tail.shape,
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
        weights.append(np.full(len(places), 1 / max(len(places), _FEW)))
    if not first:
        raise EmptySetError(
            "data: there are no two people to compare, so nobody to be mistaken for. Give more people."
        )
    together = np.concatenate(weights)
    return np.concatenate(first), np.concatenate(second), together / together.sum()


def _similarities(
    vectors: Floats, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Floats:
    """Cosines of rows with rows, a block at a time."""
    found = np.empty(len(first))
    for at in range(0, len(first), _BLOCK):
        one, other = vectors[first[at : at + _BLOCK]], vectors[second[at : at + _BLOCK]]
        found[at : at + _BLOCK] = np.einsum("ij,ij->i", one, other)
    return found


def _gram(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Weighted products of the symmetric columns with each other: one for each place of half the square."""
    rows, columns = np.triu_indices(first.shape[1])
    found = np.zeros((len(rows), len(rows)))
    for at in range(0, len(first), _BLOCK):
        one, other = first[at : at + _BLOCK], second[at : at + _BLOCK]
        mixed = one[:, rows] * other[:, columns]
        mixed += one[:, columns] * other[:, rows]
        mixed *= np.sqrt(weights[at : at + _BLOCK])[:, None]
        found += mixed.T @ mixed
    return found


def _folded(first: Floats, second: Floats, answers: Floats) -> Floats:
    """Products of the symmetric columns with answers."""
    whole = np.zeros((first.shape[1], first.shape[1]))
    for at in range(0, len(first), _BLOCK):
        part = slice(at, at + _BLOCK)
        whole += first[part].T @ (second[part] * answers[part, None])
    folded: Floats = (whole + whole.T)[np.triu_indices(first.shape[1])]
    return folded


def _form(first: Floats, square: Floats, second: Floats) -> Floats:
    """x_a S x_b of each pair."""
    found = np.empty(len(first))
    for at in range(0, len(first), _BLOCK):
        part = slice(at, at + _BLOCK)
        found[part] = np.einsum("ai,ai->a", first[part] @ square, second[part])
    return found


def _square(found: Floats, size: int) -> Floats:
    """The symmetric matrix S with x_a S x_b equal to the columns times `found`."""
    square = np.zeros((size, size))
    square[np.triu_indices(size)] = found
    return square + square.T
