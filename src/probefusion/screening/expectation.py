"""How alike two parts of one person's set are expected to be, by what they weigh, and what else to expect of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Expectation", "Halves", "terms_of"]

Rows = npt.NDArray[np.float64]

STRANGERS = (0.0, 0.12)
"""Mean and spread of the cosine between templates of two people; measured .01 to .12, and .09 to .12."""

_SPREADS = (0.03, 0.3)
_COSINES = (0.0, 0.97)


@dataclass(frozen=True, kw_only=True, eq=False)
class Halves:
    """What is known of B splits of a set, without their similarity.

    Args:
        part_masses: (B,) float64, what the part weighs in the sums, not normalised.
        other_masses: (B,) float64, the same of all other images.
        part_counts: (B,) images in the part.
        other_counts: (B,) all others.
        part_weights: (B,) float64, share of the part in the template of all, 0 to 1.
    """

    part_masses: Rows
    other_masses: Rows
    part_counts: npt.NDArray[np.int64]
    other_counts: npt.NDArray[np.int64]
    part_weights: Rows


def terms_of(halves: Halves, limits: tuple[tuple[float, float], tuple[float, float]]) -> Rows:
    """(B, 10) float64, what the expectation is linear in.

    Args:
        halves: The splits.
        limits: Smallest and largest logarithm of a mass, and of a count, that were seen when the expectation
            was measured; beyond them it stays what it is there.
    """
    (low, high), (least, most) = limits
    part, other = (
        np.clip(np.log(np.maximum(masses, 1e-30)), low, high)
        for masses in (halves.part_masses, halves.other_masses)
    )
    counts = [
        np.clip(np.log(number), least, most)
        for number in (
            halves.part_counts,
            halves.other_counts,
            halves.part_counts + halves.other_counts,
        )
    ]
    columns = (
        *(np.ones_like(part), part, other, part**2, other**2, part * other),
        *(*counts, halves.part_weights),
    )
    return np.stack(columns, axis=1)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Cosines between the fused halves of one person's set, as measured on many, for one fuser and embedder.

    Args:
        cosine: 10 coefficients of the mean.
        log_spread: 10 coefficients of the logarithm of the standard deviation.
        limits: As for `terms_of`.
        threshold: Score that 1 of 100 sets of one person reaches.
        measured_on: What it was measured on, in words.
        sharpness: Power at which the odds of all splits of a set are added up; infinity, the worst counts alone.
    """

    cosine: tuple[float, ...]
    log_spread: tuple[float, ...]
    limits: tuple[tuple[float, float], tuple[float, float]]
    threshold: float
    measured_on: str
    sharpness: float = math.inf

    def of(self, halves: Halves) -> tuple[Rows, Rows]:
        """Mean and standard deviation of the cosine between the halves of one person, (B,) each."""
        terms = terms_of(halves, self.limits)
        means = np.clip(terms @ np.asarray(self.cosine), *_COSINES)
        spreads = np.clip(np.exp(terms @ np.asarray(self.log_spread)), *_SPREADS)
        return means, spreads

    def scores(self, cosines: Rows, halves: Halves) -> Rows:
        """(B,) log-likelihood ratio of "two people" to "one person" for each split; -inf for a NaN cosine.

        A split whose halves are as alike as expected, or more, is no evidence, however little was expected.
        """
        means, spreads = self.of(halves)
        one = -0.5 * ((cosines - means) / spreads) ** 2 - np.log(spreads)
        centre, width = STRANGERS
        two = -0.5 * ((cosines - centre) / width) ** 2 - np.log(width)
        scores: Rows = np.where(cosines < means, two - one, np.minimum(two - one, 0.0))
        return np.where(np.isnan(cosines), -np.inf, scores)
