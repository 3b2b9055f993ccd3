"""Colours of weights: equal factors are equal steps, over the weights that there are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["WeightColours", "weight_limits"]

_STOPS = np.array(  # viridis at five places
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], np.float64
)

_LIGHT = 0.05

_MOST = 1000.0
"""Weights that are smaller than the heaviest by more than this factor look alike."""


def weight_limits(weights: npt.ArrayLike) -> tuple[float, float]:
    """The lightest and the heaviest weight that have a colour of their own.

    The lightest twentieth shares one colour, so that a single outlier does not take the scale. A half
    up and down where all weights are alike; never more than a factor of 1,000 apart.

    Args:
        weights: (N,) shares >= 0, N >= 1.
    """
    shares = np.asarray(weights, np.float64)
    heaviest = max(float(shares.max()), 1e-12)
    light = float(np.quantile(shares, _LIGHT, method="lower"))
    lightest = max(light, heaviest / _MOST)
    if heaviest / lightest < 1.05:
        return lightest / 1.5, heaviest * 1.5
    return lightest, heaviest


class WeightColours:
    """From dark violet (light weight) to yellow (heavy), spread over the weights of one person.

    Args:
        weights: (N,) shares >= 0, N >= 1.

    Attributes:
        low: The weight that is dark violet, as are smaller ones.
        high: The weight that is yellow.
    """

    def __init__(self, weights: npt.ArrayLike) -> None:
        self.low, self.high = weight_limits(weights)

    def at(self, place: float) -> str:
        """The colour at a place of the scale, from 0 to 1."""
        reached = min(max(place, 0.0), 1.0) * (len(_STOPS) - 1)
        low = min(int(reached), len(_STOPS) - 2)
        mixed = _STOPS[low] + (reached - low) * (_STOPS[low + 1] - _STOPS[low])
        return "#" + "".join(f"{round(value):02x}" for value in mixed)

    def place(self, weight: float) -> float:
        """Where a weight stands on the scale, from 0 to 1."""
        weight = min(max(weight, self.low), self.high)
        return math.log(weight / self.low) / math.log(self.high / self.low)

    def of(self, weight: float) -> str:
        """The colour of a weight."""
        return self.at(self.place(weight))
