"""The averages everybody uses today, behind the same interface as the learned fusers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.checks import MAX_NORM, check_threads
from probefusion.fusion.contributions import Finished
from probefusion.fusion.imagewise import ImageTerms, ImagewiseFuser
from probefusion.types import FloatArray
from probefusion.workers import available_threads

__all__ = ["MeanFuser", "NormWeightedFuser", "PoolingFuser", "weighted_directions"]


class PoolingFuser(ImagewiseFuser):
    """A weighted average of unit embeddings; any embedder, any dimension, no style."""

    embedder = None
    dim = None
    style_channels = 0
    num_clusters = 1
    style_width = 0
    adds_directions = True
    needs_norms = False

    def __init__(self, *, num_threads: int | None = None) -> None:
        self.fingerprint = f"{self.name}@1"
        self.num_threads = check_threads(num_threads) or available_threads()

    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        del style_sums
        fused = sums[:, 0] / mass
        return Finished(
            fused=fused.astype(np.float32), cluster_weights=np.ones_like(mass, dtype=np.float32)
        )


class MeanFuser(PoolingFuser):
    """Mean of the unit embeddings: every image counts the same.

    Exact in any order and split; cost linear in N.
    """

    name = "mean"
    max_weight = 1.0

    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        del embeddings, style
        return weighted_directions(np.ones_like(norms))


class NormWeightedFuser(PoolingFuser):
    """Mean of the raw embeddings: each image counts by its norm.

    Sensible for embedders whose norm grows with image quality (AdaFace, ArcFace). Embeddings whose
    lengths are lost are refused, since nothing could be weighed by. Exact in any order and split;
    cost linear in N.
    """

    name = "norm-weighted"
    needs_norms = True
    max_weight = MAX_NORM

    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        del embeddings, style
        return weighted_directions(norms)


def weighted_directions(weights: FloatArray) -> ImageTerms:
    """Terms of a plain weighted mean of unit embeddings: weights (N,), no style."""
    return ImageTerms(
        shares=weights[:, None],
        values=None,
        style=np.zeros((len(weights), 0), dtype=np.float32),
    )
