"""How alike are two different people's templates, by the look of both? A model of that distribution.

Poor images lie close together, whoever is on them: two poor sets of two people are more alike than two
clean ones, and so are people of one kind. Both show in the templates themselves, as closeness to the mean
template of poor sets, or of a population. The model therefore takes from each side
x = (1, cosine to each of k mean templates, log2 of the number of images / 4), and says of the similarity s
of different people

    location = x_a L x_b,   2 log scale = x_a V x_b,   z = (s - location) / scale
    P(z > u + e) = p (1 + shape e / b)^(-1 / shape),  log p = t P,  log b = t B

with t = (1, sum and product of the sides' log numbers, location, log scale): a generalised Pareto tail whose
size depends on both sides. Everything is symmetric in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError

__all__ = ["NonMatedModel", "clipped_half", "number_term", "tail_terms"]

Floats: TypeAlias = npt.NDArray[np.float64]

_LOG_VARIANCE = (-9.0, 0.0)
"""Within what the logarithm of the variance is kept."""

_LOG_RATE = (-8.0, -0.7)
"""Within what the logarithm of the share above the level is kept."""

_LOG_EXCESS = (-3.5, 1.0)
"""Within what the logarithm of the mean excess is kept."""

_NO_SHAPE = 1e-6
"""A smaller shape is that of an exponential tail."""

_FARTHEST = 60.0
"""Where a tail has an end, what lies beyond it counts as so rare: a logarithm."""


def clipped_half(log_variance: Floats) -> Floats:
    """Logarithm of the scale, within what the model takes."""
    half: Floats = np.clip(log_variance, *_LOG_VARIANCE) / 2
    return half


def tail_terms(
    first: Floats, second: Floats, location: Floats, log_variance: Floats, *, paired: bool
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """What rate and excess of the tail depend on: the five terms t, of which the last two are location and log scale.

    Args:
        first: (A, k + 2) x of one side.
        second: (B, k + 2) x of the other; B = A where they are paired.
        location: (k + 2, k + 2) L.
        log_variance: (k + 2, k + 2) V.
        paired: Whether row by row, which gives (A,) each, or each with each, (A, B).
    """
    numbers = first[:, -1], second[:, -1]
    if paired:
        place = np.einsum("ai,ai->a", first @ location, second)
        wide = np.einsum("ai,ai->a", first @ log_variance, second)
        added, product = numbers[0] + numbers[1], numbers[0] * numbers[1]
    else:
        place = first @ location @ second.T
        wide = first @ log_variance @ second.T
        added, product = np.add.outer(*numbers), np.multiply.outer(*numbers)
    return np.ones_like(added), added, product, place, clipped_half(wide)


def number_term(num_images: npt.ArrayLike) -> Floats:
    """The number of images as the model takes it: 0 for one, 1 for 16."""
    term: Floats = np.log2(np.asarray(num_images, dtype=np.float64)) / 4
    return term


@dataclass(frozen=True, kw_only=True, eq=False)
class NonMatedModel:
    """The distribution of similarities of different people, given both templates and numbers of images.

    Args:
        directions: (k, D) mean templates of the calibration's kinds of sets.
        lowest: (k,) smallest cosines to them that were seen; smaller ones count as these.
        highest: (k,) largest ones.
        most_images: Most images that a set had; more count as that many.
        location: (k + 2, k + 2) L of the module's text.
        log_variance: (k + 2, k + 2) V.
        level: u.
        log_rate: (5,) P.
        log_excess: (5,) B.
        shape: Of the tail.

    Raises:
        ConfigError: If the sizes do not fit.
    """

    directions: Floats
    lowest: Floats
    highest: Floats
    most_images: int
    location: Floats
    log_variance: Floats
    level: float
    log_rate: Floats
    log_excess: Floats
    shape: float

    def __post_init__(self) -> None:
        k = len(self.directions)
        sizes = {
            "lowest": (k,), "highest": (k,), "location": (k + 2, k + 2),
            "log_variance": (k + 2, k + 2), "log_rate": (5,), "log_excess": (5,),
        }  # fmt: skip
        for name, size in sizes.items():
            if getattr(self, name).shape != size:
                raise ConfigError(
                    f"model.{name}: expected numbers of shape {size}, got {getattr(self, name).shape}."
                )

    def terms(self, vectors: npt.ArrayLike, num_images: npt.ArrayLike) -> Floats:
        """What the model takes of each side, (T, k + 2): x of the module's text, within what was seen."""
        cosines = np.asarray(vectors, dtype=np.float64) @ self.directions.T
        numbers = number_term(np.clip(num_images, 1, self.most_images))
        seen = np.clip(cosines, self.lowest, self.highest)
        return np.column_stack([np.ones(len(seen)), seen, numbers])

    def thresholds(
        self,
        first: Floats,
        second: Floats,
        rates: Sequence[float | Floats],
        *,
        paired: bool = False,
    ) -> list[Floats]:
        """Similarities from which on different people lie at these rates only.

        Args:
            first: (A, k + 2) `terms` of one side.
            second: (B, k + 2) of the other.
            rates: Fractions; for pairs also (A,), one for each.
            paired: Whether row i of one side goes with row i of the other.

        Returns:
            For each rate (A, B), or (A,) for pairs.
        """
        location, scale, share, excess = self._pieces(first, second, paired)
        base = location + scale * self.level
        step = scale * excess
        return [base + step * _above(share / rate, self.shape) for rate in rates]

    def log_rates(self, first: Floats, second: Floats, similarities: Floats) -> Floats:
        """Logarithms of the rates whose thresholds these similarities are, (A, B); as `thresholds`, turned around.

        Args:
            first: (A, k + 2) `terms` of one side.
            second: (B, k + 2) of the other.
            similarities: (A, B) of each with each.
        """
        location, scale, share, excess = self._pieces(first, second, paired=False)
        above = ((similarities - location) / scale - self.level) / excess
        if abs(self.shape) < _NO_SHAPE:
            beyond = -above
        else:
            inner = np.maximum(1 + self.shape * above, np.exp(-_FARTHEST * abs(self.shape)))
            beyond = -np.log(inner) / self.shape
        found: Floats = np.log(share) + beyond
        return found

    def _pieces(
        self, first: Floats, second: Floats, paired: bool
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Location, scale, share above the level and mean excess, each (A, B) or (A,)."""
        tail = tail_terms(first, second, self.location, self.log_variance, paired=paired)
        *_, location, half = tail
        share = np.exp(np.clip(_weighted(self.log_rate, tail), *_LOG_RATE))
        excess = np.exp(np.clip(_weighted(self.log_excess, tail), *_LOG_EXCESS))
        return location, np.exp(half), share, excess


def _above(ratio: Floats, shape: float) -> Floats:
    """How far above the level a share of it lies, in mean excesses."""
    found: Floats = np.log(ratio) if abs(shape) < _NO_SHAPE else (ratio**shape - 1) / shape
    return found


def _weighted(weights: Floats, parts: tuple[Floats, ...]) -> Floats:
    return sum((weight * part for weight, part in zip(weights, parts, strict=True)), np.zeros(()))
