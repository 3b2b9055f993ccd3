"""What images add up to, as arrays: states of many sets, of one batch, and what is read out of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.types import FloatArray

__all__ = ["Contributions", "Finished", "Sums", "add_up", "normalize_rows"]


class Sums(NamedTuple):
    """States of B sets.

    Attributes:
        mass: (B, M) float64.
        sums: (B, M, D) float64.
        style_sums: (B, M, S) float64.
    """

    mass: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    style_sums: npt.NDArray[np.float64]

    @staticmethod
    def zeros_like(part: Sums, num_sets: int) -> Sums:
        """Empty states of `num_sets` sets, of the sizes of `part`."""
        return Sums(*(np.zeros((num_sets, *array.shape[1:])) for array in part))

    def add(self, part: Sums, first: int) -> Sums:
        """Adds to the sets from `first` on, in place; gives itself."""
        for mine, theirs in zip(self, part, strict=True):
            mine[first : first + len(theirs)] += theirs
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class Contributions:
    """A batch of one person's images, summed, with the share of each image in the sums.

    Args:
        mass: (M,) float64.
        sums: (M, D) float64.
        style_sums: (M, S) float64.
        shares: (N, M), how strongly each image stands in the sums of each cluster, >= 0.
    """

    mass: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    style_sums: npt.NDArray[np.float64]
    shares: npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """What is read out of states.

    Args:
        fused: (B, D) float32, not yet normalised.
        cluster_weights: (B, M) float32, by how much an image's share in cluster m counts, >= 0.
    """

    fused: FloatArray
    cluster_weights: FloatArray


def add_up(parts: list[Contributions]) -> Contributions:
    """The sums of all parts; their shares stay apart."""
    return Contributions(
        mass=np.sum([part.mass for part in parts], axis=0),
        sums=np.sum([part.sums for part in parts], axis=0),
        style_sums=np.sum([part.style_sums for part in parts], axis=0),
        shares=parts[0].shares,
    )


def normalize_rows(fused: FloatArray, name: str, first: int = 0) -> FloatArray:
    """Rows divided by their lengths; row 0 is called set `first` in messages.

    Raises:
        InvalidInputError: If a row has no direction, as when two opposite embeddings are averaged.
    """
    wide = fused.astype(np.float64)
    lengths = np.sqrt(np.einsum("bd,bd->b", wide, wide))
    for row, length in enumerate(lengths.tolist()):
        if not 1e-12 < length < math.inf:
            raise InvalidInputError(
                f"set {first + row}: its fused vector by {name!r} has length {length:.3g}, so no "
                f"direction: the embeddings cancel each other. Check that they show one person."
            )
    wide /= lengths[:, None]
    units: FloatArray = wide.astype(np.float32)
    return units
