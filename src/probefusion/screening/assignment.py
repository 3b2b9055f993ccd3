"""Which images go with which half of a split set, and how surely."""

from __future__ import annotations

import numpy as np

from probefusion.screening.expectation import Expectation, Halves
from probefusion.screening.stacks import Flags, FloatRows, Stack

__all__ = ["leanings", "refined"]

_ROUNDS = 3


def leanings(stack: Stack, parts: Flags, expected: Expectation) -> FloatRows:
    """How much each image belongs to a part of its set rather than to the rest, itself left out of either.

    Args:
        stack: The sets.
        parts: (P, N) which images are in the part; neither none nor all of a set.
        expected: What to expect of images of one person.

    Returns:
        (P, N) float64, logarithms of the odds: 0 for an image that says nothing.
    """
    towards = _evidence(stack, parts, expected)
    away = _evidence(stack, ~parts, expected)
    difference: FloatRows = towards - away
    return difference


def refined(stack: Stack, parts: Flags, expected: Expectation) -> Flags:
    """The parts after each image went where it belongs, a few times; as before if one side would be empty.

    Args:
        stack: The sets.
        parts: (P, N) a part of each; neither none nor all.
        expected: What to expect of images of one person.
    """
    found = parts.copy()
    active = np.arange(len(stack))
    for _ in range(_ROUNDS):
        if not len(active):
            break
        moved = leanings(stack[active], found[active], expected) > 0
        going = moved.any(axis=1) & ~moved.all(axis=1) & (moved != found[active]).any(axis=1)
        active = active[going]
        found[active] = moved[going]
    return found


def _evidence(stack: Stack, sides: Flags, expected: Expectation) -> FloatRows:
    """(P, N) log-likelihood ratios of "is of this side's person" to "is not", by the side without the image."""
    cosines = stack.beside(sides)
    masses, weights = stack.masses, stack.weights
    other_masses = (sides * masses).sum(axis=1, keepdims=True) - sides * masses
    other_weights = (sides * weights).sum(axis=1, keepdims=True) - sides * weights
    counts = sides.sum(axis=1, keepdims=True) - sides
    halves = Halves(
        part_masses=masses.ravel(),
        other_masses=other_masses.ravel(),
        part_counts=np.ones(masses.size, dtype=np.int64),
        other_counts=np.maximum(counts, 1).ravel(),
        part_weights=(weights / (weights + other_weights)).ravel(),
    )
    means, _ = expected.of(halves)
    evidence = -expected.scores(np.minimum(cosines.ravel(), means - 1e-9), halves)
    evidence[~np.isfinite(evidence)] = 0.0  # a side of this image alone
    return evidence.reshape(masses.shape)
