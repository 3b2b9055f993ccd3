"""Ways to part a set in two that are worth a look: each image alone, and cuts along its main directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["candidate_splits"]

_POWERS = (1.0, 0.5)
"""Powers of the weights: at 1 few good images decide, at 1/2 poorer ones are heard as well."""
_DIRECTIONS = 2
_MOST_CUTS = 16
"""Cuts along one direction, at most; what lies between them is found when images go where they belong."""
_ROUNDS = 15
"""Rounds of 2-means, at most; it stops by itself after few."""

Rows = npt.NDArray[np.float64]
Parts = npt.NDArray[np.bool_]


def candidate_splits(alone: Rows, weights: Rows) -> Parts:
    """Parts of a set that may be another person, each different, each at most half of the weight.

    Each image alone; all cuts of the images as they lie along the first two principal directions of the
    weighted, centred set; and what weighted 2-means makes of the middle ones. Cost: cubic in N, so for
    a sample of large sets.

    Args:
        alone: (N, D) float64 unit vectors, N >= 2.
        weights: (N,) float64, > 0 for some.

    Returns:
        (B, N), never empty or whole parts.
    """
    count = len(alone)
    gram = alone @ alone.T
    parts = [np.eye(count, dtype=bool)]
    for power in _POWERS:
        raised = weights**power
        raised /= raised.sum()
        for places in _directions(gram, raised):
            parts += [_cuts(places), _two_means(gram, raised, places > 0)]
    found = np.concatenate(parts)
    shares = found @ weights
    flipped = (shares > 0.5) | ((shares == 0.5) & found[:, 0])
    found = np.where(flipped[:, None], ~found, found)
    sizes = found.sum(axis=1)
    kept: Parts = np.unique(found[(sizes > 0) & (sizes < count)], axis=0)
    return kept


def _directions(gram: Rows, weights: Rows) -> list[Rows]:
    """(N,) places of the images along each main direction, from the weighted, centred Gram matrix."""
    roots = np.sqrt(np.maximum(weights, 1e-12))
    means = gram @ weights
    centred = gram - means[:, None] - means[None, :] + weights @ means
    _, vectors = np.linalg.eigh(roots[:, None] * centred * roots[None, :])
    return [vectors[:, -place] / roots for place in range(1, min(_DIRECTIONS, len(gram)) + 1)]


def _cuts(places: Rows) -> Parts:
    count = len(places)
    order = np.argsort(places, kind="stable")
    ranks = np.empty(count, dtype=np.intp)
    ranks[order] = np.arange(count)
    sizes = np.unique(np.linspace(1, count - 1, min(count - 1, _MOST_CUTS)).round().astype(int))
    cuts: Parts = ranks[None, :] < sizes[:, None]
    return cuts


def _two_means(gram: Rows, weights: Rows, start: Parts) -> Parts:
    """(1, N): the end of weighted 2-means from a start, on the Gram matrix alone."""
    part = start
    for _ in range(_ROUNDS):
        shares = [float(weights[part].sum()), float(weights[~part].sum())]
        if min(shares) <= 0:
            break
        scores = []
        for chosen, share in zip((part, ~part), shares, strict=True):
            towards = gram[:, chosen] @ weights[chosen] / share
            scores.append(towards - weights[chosen] @ towards[chosen] / share / 2)
        moved = scores[0] > scores[1]
        if (moved == part).all():
            break
        part = moved
    return part[None, :]
