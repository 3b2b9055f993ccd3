"""Fusers whose state is a plain sum over images: any order, any split, mergeable, removable."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.fusion.contributions import Contributions, Sums
from probefusion.fusion.fuser import Fuser
from probefusion.fusion.sums import set_blocks, set_masses, set_sums
from probefusion.types import EmbeddingSet, FloatArray
from probefusion.workers import map_in_order

__all__ = ["BLOCK_IMAGES", "ImageTerms", "ImagewiseFuser", "block_size"]

BLOCK_IMAGES = 512
"""Images computed at a time, more or less: few enough for a processor's cache, whatever the size of the set."""

_SMALLEST_HALF = 64
"""Sets of fewer than two such halves are one block: handing blocks to threads would cost more."""

_HEAD_START = 16
"""Images by which the first of two halves is the larger one: its thread begins while the other still wakes."""


def block_size(num_images: int) -> int:
    """Images in a block of a set; the number of threads has no part in it, so that it changes no bit.

    Up to a hundred thousand images the number of blocks is even, so that two threads end together.
    """
    if num_images < 2 * _SMALLEST_HALF:
        return num_images
    pairs = -(-num_images // (2 * BLOCK_IMAGES))
    if pairs == 1:
        return -(-num_images // 2) + _HEAD_START
    return -(-num_images // (2 * pairs))


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTerms:
    """What each image adds to the sums, computed from that image alone.

    Args:
        shares: (N, M) float32, >= 0.
        values: (N, D) float32, or None for the embeddings over their lengths.
        style: (N, S) float32.
    """

    shares: FloatArray
    values: FloatArray | None
    style: FloatArray


class ImagewiseFuser(Fuser):
    """Base of exact fusers. Subclasses give `_terms`; sums are formed here, in float64.

    Images are computed in blocks of about `BLOCK_IMAGES`, by `num_threads` threads; the blocks'
    sums are added in order, so the number of threads does not change a bit of the result.

    Attributes:
        num_threads: Blocks computed at the same time.
        length_offset: What is added to the length of an embedding before dividing by it.
    """

    is_exact = True
    num_threads: int = 1
    length_offset: float = 0.0

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

    def _block(
        self,
        images: EmbeddingSet,
        start: int,
        stop: int,
        borders: npt.NDArray[np.int64] | tuple[int, int],
    ) -> tuple[FloatArray, Sums]:
        """Shares of the images of a block, and its sums per set."""
        embeddings, norms = images.embeddings[start:stop], images.norms[start:stop]
        terms = self._block_terms(images, start, stop)
        wide = terms.shares.astype(np.float64)
        if terms.values is None:
            lengths = np.add(norms, self.length_offset, dtype=np.float64)
            sums = set_sums(wide / lengths[:, None], embeddings, borders)
        else:
            sums = set_sums(wide, terms.values, borders)
        style_sums = set_sums(wide, terms.style, borders)
        return terms.shares, Sums(set_masses(wide, borders), sums, style_sums)

    def _contribute(self, images: EmbeddingSet) -> Contributions:
        count = images.num_images
        size = block_size(count)

        def compute(start: int) -> tuple[FloatArray, Sums]:
            stop = min(start + size, count)
            return self._block(images, start, stop, (0, stop - start))

        if size == count:
            shares, total = compute(0)
        else:
            found = map_in_order(compute, range(0, count, size), self.num_threads)
            first, total = next(found)
            parts = [first]
            for part, sums in found:
                parts.append(part)
                total.add(sums, 0)
            shares = np.concatenate(parts)
        mass, sums_of_values, style_sums = total
        return Contributions(
            mass=mass[0], sums=sums_of_values[0], style_sums=style_sums[0], shares=shares
        )

    def _encode_many(
        self, images: EmbeddingSet, offsets: npt.NDArray[np.int64], chunk_size: int | None
    ) -> Sums:
        del chunk_size  # any split gives the same sums

        def compute(
            block: tuple[int, int, int, npt.NDArray[np.int64]],
        ) -> tuple[int, Sums]:
            start, stop, first, borders = block
            return first, self._block(images, start, stop, borders)[1]

        total: Sums | None = None
        blocks = set_blocks(offsets, BLOCK_IMAGES)
        for first, part in map_in_order(compute, blocks, self.num_threads):
            if total is None:
                total = Sums.zeros_like(part, len(offsets) - 1)
            total.add(part, first)
        if total is None:
            raise ValueError("offsets hold at least one set")
        return total
