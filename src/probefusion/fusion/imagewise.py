"""Fusers whose state is a plain sum over images: any order, any split, mergeable, removable."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.fusion.fuser import Contributions, Fuser
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["ImageTerms", "ImagewiseFuser"]

_BLOCK = 4096
"""Images computed at a time: bounds the memory whatever the size of the set."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTerms:
    """What each image adds to the sums, computed from that image alone.

    Args:
        shares: (N, M) float32, >= 0.
        values: (N, D) float32.
        style: (N, S) float32.
    """

    shares: FloatArray
    values: FloatArray
    style: FloatArray


class ImagewiseFuser(Fuser):
    """Base of exact fusers. Subclasses give `_terms`; sums are formed here, in float64."""

    is_exact = True

    @abstractmethod
    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        """Terms of a block of images; row i must not depend on the other rows."""

    def _block_terms(self, images: EmbeddingSet, start: int, stop: int) -> ImageTerms:
        return self._terms(
            images.embeddings[start:stop],
            images.norms[start:stop],
            None if images.style is None else images.style[start:stop],
        )

    def _contribute(self, images: EmbeddingSet) -> Contributions:
        parts = []
        for start in range(0, images.num_images, _BLOCK):
            terms = self._block_terms(images, start, min(start + _BLOCK, images.num_images))
            wide = terms.shares.astype(np.float64).T
            parts.append(
                (
                    terms.shares,
                    wide @ terms.values.astype(np.float64),
                    wide @ terms.style.astype(np.float64),
                )
            )
        shares, sums, style_sums = zip(*parts, strict=True)
        all_shares = np.concatenate(shares)
        return Contributions(
            mass=all_shares.sum(axis=0, dtype=np.float64),
            sums=np.sum(sums, axis=0),
            style_sums=np.sum(style_sums, axis=0),
            shares=all_shares,
        )

    def _encode_many(
        self, images: EmbeddingSet, offsets: npt.NDArray[np.int64], chunk_size: int | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        del chunk_size  # any split gives the same sums
        num_sets = len(offsets) - 1
        mass: npt.NDArray[np.float64] | None = None
        for start in range(0, images.num_images, _BLOCK):
            stop = min(start + _BLOCK, images.num_images)
            terms = self._block_terms(images, start, stop)
            if mass is None:
                num_clusters = terms.shares.shape[1]
                mass = np.zeros((num_sets, num_clusters))
                sums = np.zeros((num_sets, num_clusters, terms.values.shape[1]))
                style_sums = np.zeros((num_sets, num_clusters, terms.style.shape[1]))
            first = int(np.searchsorted(offsets, start, side="right")) - 1
            last = int(np.searchsorted(offsets, stop, side="left"))
            begins = np.maximum(offsets[first:last], start) - start
            wide = terms.shares.astype(np.float64)
            mass[first:last] += np.add.reduceat(wide, begins, axis=0)
            for m in range(wide.shape[1]):
                weighted = wide[:, m, None] * terms.values
                sums[first:last, m] += np.add.reduceat(weighted, begins, axis=0)
                if terms.style.shape[1]:
                    weighted = wide[:, m, None] * terms.style
                    style_sums[first:last, m] += np.add.reduceat(weighted, begins, axis=0)
        if mass is None:
            raise ValueError("an EmbeddingSet holds at least one image")
        return mass, sums, style_sums
