"""Sets of equally many images side by side, so that what is done to each is done to all at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from probefusion.screening.expectation import Halves

__all__ = ["Flags", "FloatRows", "Places", "Stack", "first_of_each", "starts_of"]

FloatRows = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

_LEAST_SHARE = 1e-12
"""Parts that hold less of the weight than this have no template."""
_LEAST_SQUARE = 1e-12
"""Squared length of a mean of unit vectors below which it has no direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """P sets of N images each, as a view gives them; the template of a part is the weighted mean of its directions.

    Templates themselves are never made: the products of the images with each other say how alike two parts are.

    Args:
        directions: (P, N, D) float64 unit vectors.
        masses: (P, N) float64, how much each image weighs, >= 0, not normalised: > 0 in all of a set.
    """

    directions: FloatRows
    masses: FloatRows

    def __len__(self) -> int:
        return len(self.masses)

    def __getitem__(self, sets: Places | Flags) -> Stack:
        """Some of the sets."""
        return Stack(directions=self.directions[sets], masses=self.masses[sets])

    def images(self, rows: Places | Flags) -> Stack:
        """The sets with some of their images only."""
        return Stack(directions=self.directions[:, rows], masses=self.masses[:, rows])

    @property
    def num_images(self) -> int:
        """N, of each set."""
        return int(self.masses.shape[1])

    @cached_property
    def weights(self) -> FloatRows:
        """(P, N) float64, share of each image in its set; a set's sum to 1."""
        weights: FloatRows = self.masses / self.masses.sum(axis=1, keepdims=True)
        return weights

    @cached_property
    def cosines(self) -> FloatRows:
        """(P, N, N) float64 cosines between the images of a set."""
        cosines: FloatRows = self.directions @ self.directions.transpose(0, 2, 1)
        return cosines

    @cached_property
    def _products(self) -> FloatRows:
        products: FloatRows = self.cosines * self.masses[:, :, None] * self.masses[:, None, :]
        return products

    def halves(self, sets: Places, parts: Flags) -> Halves:
        """What the expectation needs to know of splits.

        Args:
            sets: (K,) of which set each is.
            parts: (K, N) which images are in each.
        """
        inside = np.einsum("kn,kn->k", parts, self.masses[sets])
        counts = parts.sum(axis=1)
        return Halves(
            part_masses=inside,
            other_masses=np.maximum(self.masses.sum(axis=1)[sets] - inside, 0.0),
            part_counts=counts,
            other_counts=self.num_images - counts,
            part_weights=np.einsum("kn,kn->k", parts, self.weights[sets]),
        )

    def similarities(self, sets: Places, parts: Flags) -> FloatRows:
        """Cosines between the template of each part and that of the other images of its set.

        Args:
            sets: (K,) of which set each is, ascending; every set has one.
            parts: (K, N) which images are in each.

        Returns:
            (K,) float64; NaN where there is no template.
        """
        starts = starts_of(sets)
        order = np.arange(len(sets)) - np.repeat(starts, np.diff(starts, append=len(sets)))
        dense = np.zeros((len(self), order.max(initial=0) + 1, self.num_images))
        dense[sets, order] = parts
        own = np.einsum("pbn,pbn->pb", dense @ self._products, dense)[sets, order]
        totals = self._products.sum(axis=2)
        with_all = (dense @ totals[:, :, None])[:, :, 0][sets, order]
        inside = (dense @ self.masses[:, :, None])[:, :, 0][sets, order]
        between = with_all - own
        others = totals.sum(axis=1)[sets] - with_all - between
        whole = self.masses.sum(axis=1)[sets]
        return _cosines(between, (own, inside), (others, whole - inside), whole)

    def beside(self, sides: Flags) -> FloatRows:
        """Cosines of each image with the template of a side of its set, without the image where it is in it.

        Args:
            sides: (P, N) which images are in the side.

        Returns:
            (P, N) float64; NaN where there is no template.
        """
        squares = self.masses**2
        towards = (self._products @ sides[:, :, None])[:, :, 0]
        whole = np.einsum("pn,pn->p", towards, sides)[:, None]
        inside = np.einsum("pn,pn->p", self.masses, sides)[:, None]
        between = towards - sides * squares
        others = np.where(sides, whole - towards - between, whole)
        all_masses = self.masses.sum(axis=1, keepdims=True)
        rest = inside - sides * self.masses
        return _cosines(between, (squares, self.masses), (others, rest), all_masses)


def starts_of(sets: Places) -> Places:
    """(P,) where each set begins; `sets` (K,) ascend, and every set has a row."""
    return np.flatnonzero(np.diff(sets, prepend=-1))


def first_of_each(sets: Places, scores: FloatRows) -> Places:
    """(P,) the first row with the highest score of each set; as for `starts_of`."""
    highest = np.flatnonzero(scores == np.maximum.reduceat(scores, starts_of(sets))[sets])
    _, first = np.unique(sets[highest], return_index=True)
    best: Places = highest[first]
    return best


def _cosines(
    products: FloatRows,
    one: tuple[FloatRows, FloatRows],
    other: tuple[FloatRows, FloatRows],
    whole: FloatRows,
) -> FloatRows:
    """Cosines of weighted sums of unit vectors, by their products, squares and masses, and the masses of the sets."""
    cosines = np.full(products.shape, np.nan)
    usable = np.ones(products.shape, dtype=bool)
    for square, mass in (one, other):
        usable &= (mass > _LEAST_SHARE * whole) & (square > _LEAST_SQUARE * mass**2)
    lengths = np.sqrt(one[0][usable]) * np.sqrt(other[0][usable])
    cosines[usable] = products[usable] / lengths
    return cosines
