"""Ways to part a set in two that are worth a look: each image alone, and cuts along its main directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["candidate_splits", "lighter"]

_POWERS = (1.0, 0.5)
"""Powers of the weights: at 1 few good images decide, at 1/2 poorer ones are heard as well."""
_DIRECTIONS = 2
_MOST_CUTS = 16
"""Cuts along one direction, at most; what lies between them is found when images go where they belong."""
_ROUNDS = 15
"""Rounds of 2-means, at most; it stops by itself after few."""
_EQUAL = 1e-12
"""Shares of a half that differ by no more are equal, whatever the order in which they were added up."""

Rows = npt.NDArray[np.float64]
Parts = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


def candidate_splits(cosines: Rows, weights: Rows) -> tuple[Places, Parts]:
    """Parts of sets that may be another person, each different, each at most half of the weight.

    Each image alone; all cuts of the images as they lie along the first two principal directions of the
    weighted, centred set; and what weighted 2-means makes of the middle ones. Cost: cubic in N, so for
    a sample of large sets.

    Args:
        cosines: (P, N, N) float64 between the images of a set, N >= 2.
        weights: (P, N) float64, shares of the images, each row's sum is 1.

    Returns:
        (K,) the set of each, ascending, and (K, N) the parts: never empty, never whole.
    """
    num_sets, count = weights.shape
    parts = [np.broadcast_to(np.eye(count, dtype=bool), (num_sets, count, count))]
    before = None
    for power in _POWERS:
        raised = weights**power
        raised /= raised.sum(axis=1, keepdims=True)
        if before is not None and np.abs(raised - before).max(initial=0) < _EQUAL:
            break  # all weights are equal, so powers change nothing
        before = raised
        for places in _directions(cosines, raised):
            parts += [_cuts(places), _two_means(cosines, raised, places > 0)[:, None]]
    found = np.concatenate(parts, axis=1)
    sets = np.repeat(np.arange(num_sets), found.shape[1])
    flat = lighter(found.reshape(-1, count), weights[sets])
    sizes = flat.sum(axis=1)
    proper = (sizes > 0) & (sizes < count)
    return _distinct(sets[proper], flat[proper])


def lighter(parts: Parts, weights: Rows) -> Parts:
    """Each part or its rest, whichever weighs less; of equal ones that without the first image.

    Args:
        parts: (K, N).
        weights: (K, N), each row's sum is 1.
    """
    shares = np.einsum("kn,kn->k", parts, weights)
    flipped = (shares > 0.5 + _EQUAL) | ((shares >= 0.5 - _EQUAL) & parts[:, 0])
    found: Parts = parts ^ flipped[:, None]
    return found


def _distinct(sets: Places, parts: Parts) -> tuple[Places, Parts]:
    """Each part of each set once, sorted."""
    packed = np.packbits(parts, axis=1)
    words = np.zeros((len(parts), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    keys = [sets.astype(np.uint64), *words.view(">u8").astype(np.uint64).T]
    order = np.lexsort(keys[::-1])
    is_new = np.any([np.diff(key[order], prepend=~key[order[:1]]) != 0 for key in keys], axis=0)
    rows = order[is_new]
    return sets[rows], parts[rows]


def _directions(gram: Rows, weights: Rows) -> list[Rows]:
    """(P, N) places of the images along each main direction, from the weighted, centred Gram matrices."""
    roots = np.sqrt(np.maximum(weights, 1e-12))
    means = (gram @ weights[:, :, None])[:, :, 0]
    middle = np.einsum("pn,pn->p", weights, means)
    centred = gram - means[:, :, None] - means[:, None, :] + middle[:, None, None]
    _, vectors = np.linalg.eigh(roots[:, :, None] * centred * roots[:, None, :])
    return [
        vectors[:, :, -place] / roots for place in range(1, min(_DIRECTIONS, gram.shape[1]) + 1)
    ]


def _cuts(places: Rows) -> Parts:
    """(P, B, N)."""
    count = places.shape[1]
    order = np.argsort(places, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(count), order.shape), axis=1)
    sizes = np.unique(np.linspace(1, count - 1, min(count - 1, _MOST_CUTS)).round().astype(int))
    cuts: Parts = ranks[:, None, :] < sizes[None, :, None]
    return cuts


def _two_means(gram: Rows, weights: Rows, start: Parts) -> Parts:
    """(P, N): the end of weighted 2-means from a start, on the Gram matrices alone."""
    parts = start.copy()
    active = np.arange(len(parts))
    for _ in range(_ROUNDS):
        part, own = parts[active], weights[active]
        sides = np.stack([own * part, own * ~part], axis=2)
        shares = sides.sum(axis=1)
        going = (shares > 0).all(axis=1)
        active, part, sides, shares = active[going], part[going], sides[going], shares[going]
        if not len(active):
            break
        towards = gram[active] @ sides / shares[:, None]
        scores = towards - np.einsum("pns,pns->ps", sides, towards)[:, None] / shares[:, None] / 2
        moved = scores[:, :, 0] > scores[:, :, 1]
        parts[active] = moved
        active = active[(moved != part).any(axis=1)]
    return parts
