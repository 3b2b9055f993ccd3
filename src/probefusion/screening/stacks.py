"""Sets of equally many images side by side, so that what is done to each is done to all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.fusion.contributions import Sums
from probefusion.fusion.pooling import PoolingFuser
from probefusion.screening.elements import Elements, FloatRows, templates_or_nan
from probefusion.screening.expectation import Halves

__all__ = ["Flags", "Places", "Stack", "first_of_each", "stack_of_sums", "stacked"]

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

_LEAST_SHARE = 1e-12
"""Parts that hold less of the mass than this have no template."""
_LEAST_SQUARE = 1e-12
"""Squared length of a mean of unit vectors below which it has no direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """P sets of N images each, as `Elements` holds one.

    Args:
        fuser: The fuser.
        sums: States of the images alone, (P, N, ...).
        alone: (P, N, D) float64 unit vectors, the template of each image alone.
        weights: (P, N) float64, share of each in the template of its set; a set's sum to 1.
    """

    fuser: Fuser
    sums: Sums
    alone: FloatRows
    weights: FloatRows

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def num_images(self) -> int:
        """N, of each set."""
        return int(self.weights.shape[1])

    @cached_property
    def masses(self) -> FloatRows:
        """(P, N) float64, how much each image weighs in the sums, all clusters together; not normalised."""
        masses: FloatRows = self.sums.mass.sum(axis=2)
        return masses

    def __getitem__(self, sets: Places | Flags) -> Stack:
        """Some of the sets."""
        return replace(
            self,
            sums=Sums(*(array[sets] for array in self.sums)),
            alone=self.alone[sets],
            weights=self.weights[sets],
        )

    def halves(self, sets: Places, parts: Flags) -> Halves:
        """What the expectation needs to know of splits.

        Args:
            sets: (K,) of which set each is.
            parts: (K, N) which images are in each.
        """
        masses = self.masses
        inside = np.einsum("kn,kn->k", parts, masses[sets])
        counts = parts.sum(axis=1)
        return Halves(
            part_masses=inside,
            other_masses=np.maximum(masses.sum(axis=1)[sets] - inside, 0.0),
            part_counts=counts,
            other_counts=self.num_images - counts,
            part_weights=np.einsum("kn,kn->k", parts, self.weights[sets]),
        )

    def similarities(self, sets: Places, parts: Flags) -> FloatRows:
        """Cosines between the template of each part and that of the other images of its set.

        Args:
            sets: (K,) of which set each is, ascending.
            parts: (K, N) which images are in each.

        Returns:
            (K,) float64; NaN where there is no template.
        """
        dense, order = _dense(sets, parts, len(self))
        inside = Sums(*(_added(dense, array)[sets, order] for array in self.sums))
        outside = Sums(
            *(array.sum(axis=1)[sets] - part for array, part in zip(self.sums, inside, strict=True))
        )
        cosines: FloatRows = np.einsum(
            "kd,kd->k", self._templates(sets, inside), self._templates(sets, outside)
        )
        return cosines

    def beside(self, sides: Flags) -> FloatRows:
        """Cosines of each image with the template of a side of its set, without the image where it is in it.

        Args:
            sides: (P, N) which images are in the side.

        Returns:
            (P, N) float64; NaN where there is no template.
        """
        everywhere = np.arange(len(self))
        whole = Sums(*(_added(sides[:, None].astype(float), array)[:, 0] for array in self.sums))
        sets, images = np.nonzero(sides)
        without = Sums(
            *(
                total[sets] - array[sets, images]
                for total, array in zip(whole, self.sums, strict=True)
            )
        )
        cosines: FloatRows = (self.alone @ self._templates(everywhere, whole)[:, :, None])[:, :, 0]
        cosines[sets, images] = np.einsum(
            "kd,kd->k", self._templates(sets, without), self.alone[sets, images]
        )
        return cosines

    def _templates(self, sets: Places, added: Sums) -> FloatRows:
        """(K, D) templates of parts, by their states; rows of NaN where there is none."""
        return templates_or_nan(self.fuser, added, self.masses.sum(axis=1)[sets])


class _PooledStack(Stack):
    """Of a fuser that adds up weighted directions: then the products of the images with each other tell all."""

    def similarities(self, sets: Places, parts: Flags) -> FloatRows:
        """See `Stack.similarities`."""
        products, masses = self._products, self.masses
        dense, order = _dense(sets, parts, len(self))
        own = np.einsum("pbn,pbn->pb", dense @ products, dense)[sets, order]
        totals = products.sum(axis=2)
        with_all = (dense @ totals[:, :, None])[:, :, 0][sets, order]
        inside = (dense @ masses[:, :, None])[:, :, 0][sets, order]
        between = with_all - own
        others = totals.sum(axis=1)[sets] - with_all - between
        whole = masses.sum(axis=1)[sets]
        return _cosines(between, (own, inside), (others, whole - inside), whole)

    def beside(self, sides: Flags) -> FloatRows:
        """See `Stack.beside`."""
        products, masses = self._products, self.masses
        squares = np.einsum("pnn->pn", products)
        towards = (products @ sides[:, :, None])[:, :, 0]
        whole = np.einsum("pn,pn->p", towards, sides)[:, None]
        inside = np.einsum("pn,pn->p", masses, sides)[:, None]
        between = towards - sides * squares
        others = np.where(sides, whole - towards - between, whole)
        all_masses = masses.sum(axis=1, keepdims=True)
        return _cosines(between, (squares, masses), (others, inside - sides * masses), all_masses)

    @cached_property
    def _products(self) -> FloatRows:
        """(P, N, N) products of the images' sums."""
        vectors = self.sums.sums[:, :, 0]
        products: FloatRows = vectors @ vectors.transpose(0, 2, 1)
        return products


def stacked(elements: Elements) -> Stack:
    """One set as a stack."""
    kind = _PooledStack if isinstance(elements.fuser, PoolingFuser) else Stack
    return kind(
        fuser=elements.fuser,
        sums=Sums(*(array[None] for array in elements.sums)),
        alone=elements.alone[None],
        weights=elements.weights[None],
    )


def stack_of_sums(fuser: Fuser, sums: Sums, alone: FloatRows) -> tuple[Stack, Flags]:
    """Sets of images that were encoded before.

    Args:
        fuser: The fuser.
        sums: States of the images alone, (P, N, ...).
        alone: (P, N, D) float64, their templates.

    Returns:
        The sets that weigh anything, and (P,) which these are.
    """
    weighing = sums.mass.sum(axis=(1, 2)) > 0
    kept = Sums(*(array[weighing] for array in sums))
    weights = fuser.weigh_many(Sums(*(array.sum(axis=1) for array in kept)), kept.mass)
    whole = weights.sum(axis=1)
    usable = whole > 0
    weighing[weighing] = usable
    kind = _PooledStack if isinstance(fuser, PoolingFuser) else Stack
    stack = kind(
        fuser=fuser,
        sums=Sums(*(array[usable] for array in kept)),
        alone=alone[weighing],
        weights=weights[usable] / whole[usable, None],
    )
    return stack, weighing


def first_of_each(sets: Places, scores: FloatRows) -> Places:
    """(P,) the first row with the highest score of each set; every set has one, `sets` (K,) ascend."""
    starts = np.flatnonzero(np.diff(sets, prepend=-1))
    highest = np.flatnonzero(scores == np.maximum.reduceat(scores, starts)[sets])
    _, first = np.unique(sets[highest], return_index=True)
    best: Places = highest[first]
    return best


def _dense(sets: Places, parts: Flags, num_sets: int) -> tuple[FloatRows, Places]:
    """Parts (K, N) of sets as (P, B, N) of 0 and 1, and (K,) where each stands among those of its set."""
    starts = np.flatnonzero(np.diff(sets, prepend=-1))
    order = np.arange(len(sets)) - np.repeat(starts, np.diff(starts, append=len(sets)))
    dense = np.zeros((num_sets, order.max(initial=0) + 1, parts.shape[1]))
    dense[sets, order] = parts
    return dense, order


def _added(parts: FloatRows, array: FloatRows) -> FloatRows:
    """(P, B, ...): sums over images of an array (P, N, ...), by parts (P, B, N) of 0 and 1."""
    num_sets, num_parts, count = parts.shape
    shape = array.shape[2:]
    flat = array.reshape(num_sets, count, math.prod(shape))
    added: FloatRows = (parts @ flat).reshape(num_sets, num_parts, *shape)
    return added


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
