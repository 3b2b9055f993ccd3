"""Which images go with which half of a split set, and how surely."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.screening.elements import Elements, FloatRows
from probefusion.screening.expectation import Expectation, Halves

__all__ = ["leanings", "refined"]

_ROUNDS = 3

Mask = npt.NDArray[np.bool_]


def leanings(elements: Elements, part: Mask, expected: Expectation) -> FloatRows:
    """How much each image belongs to a part rather than to the rest, itself left out of either.

    Args:
        elements: The images.
        part: (N,) which of them are in the part; neither none nor all.
        expected: What to expect of images of one person.

    Returns:
        (N,) float64, logarithms of the odds: 0 for an image that says nothing.
    """
    return _evidence(elements, part, expected) - _evidence(elements, ~part, expected)


def refined(elements: Elements, part: Mask, expected: Expectation) -> Mask:
    """The part after each image went where it belongs, a few times; as it was if one side would be empty."""
    for _ in range(_ROUNDS):
        moved = leanings(elements, part, expected) > 0
        if moved.all() or not moved.any():
            return part
        if (moved == part).all():
            break
        part = moved
    return part


def _evidence(elements: Elements, side: Mask, expected: Expectation) -> FloatRows:
    """(N,) log-likelihood ratios of "is of this side's person" to "is not", by the side without the image."""
    whole = elements.templates(side[None])
    members = np.flatnonzero(side)
    without = np.repeat(side[None], len(members), axis=0)
    without[np.arange(len(members)), members] = False
    cosines = elements.alone @ whole[0]
    cosines[members] = np.einsum("bd,bd->b", elements.templates(without), elements.alone[members])
    masses, own = elements.masses, side.astype(np.float64)
    others = masses[side].sum() - own * masses
    counts = int(side.sum()) - side.astype(np.int64)
    shares = elements.weights / (
        elements.weights + elements.weights[side].sum() - own * elements.weights
    )
    halves = Halves(
        part_masses=masses,
        other_masses=others,
        part_counts=np.ones(len(elements), dtype=np.int64),
        other_counts=np.maximum(counts, 1),
        part_weights=shares,
    )
    means, _ = expected.of(halves)
    evidence = -expected.scores(np.minimum(cosines, means - 1e-9), halves)
    evidence[~np.isfinite(evidence)] = 0.0  # a side of this image alone
    return evidence
