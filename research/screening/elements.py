"""The images of a set as a fuser adds them up, and the templates of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser
from probefusion.fusion.contributions import Sums
from probefusion.types import FusionState

__all__ = ["Elements", "FloatRows"]

FloatRows = npt.NDArray[np.float64]

_LEAST_SHARE = 1e-12
"""Parts that hold less of the mass than this have no template."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Elements:
    """The images of a set, each with what it adds to the sums of a fuser.

    Args:
        fuser: The fuser.
        sums: N states, one for each image.
        alone: (N, D) float64 unit vectors, the template of each image alone.
        weights: (N,) float64, share of each in the template of all; they sum to 1.
    """

    fuser: Fuser
    sums: Sums
    alone: FloatRows
    weights: FloatRows

    @staticmethod
    def from_sums(fuser: Fuser, sums: Sums, alone: FloatRows) -> Elements:
        """The elements of N images that were encoded before.

        Args:
            fuser: The fuser.
            sums: N states, one for each image.
            alone: (N, D) float64, their templates.

        Raises:
            InvalidInputError: If the images weigh nothing.
        """
        count = len(alone)
        state = FusionState(
            mass=sums.mass.sum(axis=0),
            sums=sums.sums.sum(axis=0),
            style_sums=sums.style_sums.sum(axis=0),
            num_images=count,
            fuser=fuser.fingerprint,
        )
        weights = fuser.weigh(state, sums.mass)
        whole = weights.sum()
        if not whole > 0:
            raise InvalidInputError(f"images: {count} images weigh nothing for {fuser.name!r}.")
        return Elements(fuser=fuser, sums=sums, alone=alone, weights=weights / whole)

    def __len__(self) -> int:
        return len(self.weights)

    def templates(self, parts: npt.NDArray[np.bool_]) -> FloatRows:
        """Templates of parts of the set.

        Args:
            parts: (B, N), which images are in each.

        Returns:
            (B, D) float64 unit vectors; rows of NaN for parts without mass or direction.
        """
        chosen = parts.astype(np.float64)
        summed = Sums(*(np.tensordot(chosen, array, axes=1) for array in self.sums))
        templates = np.full((len(parts), self.alone.shape[1]), np.nan)
        usable = np.flatnonzero(summed.mass.sum(axis=1) > _LEAST_SHARE * self.sums.mass.sum())
        if len(usable):
            templates[usable] = _finished(self.fuser, Sums(*(array[usable] for array in summed)))
        return templates


def _finished(fuser: Fuser, sums: Sums) -> FloatRows:
    """Templates of states; NaN for those whose vectors cancel each other, which are looked for by halves."""
    try:
        return fuser.finish_many(sums).astype(np.float64)
    except InvalidInputError:
        count = len(sums.mass)
        if count == 1:
            return np.full((1, sums.sums.shape[-1]), np.nan)
        middle = count // 2
        parts = (
            Sums(*(array[:middle] for array in sums)),
            Sums(*(array[middle:] for array in sums)),
        )
        return np.concatenate([_finished(fuser, part) for part in parts])
