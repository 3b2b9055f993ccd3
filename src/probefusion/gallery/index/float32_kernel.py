"""The reference kernel of an index: float32 products by BLAS, with a bound on their rounding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.gallery.index.index_checks import LONGEST
from probefusion.types import FloatArray

__all__ = ["ROUNDED", "Float32Product"]

ROUNDED = 2.0**-23
"""A reported similarity is off the exact one by less than this share of both lengths: it is rounded once to
float64 (2^-53) and once to float32 (2^-24)."""

_UNIT = 2.0**-24
"""Unit roundoff of float32."""


class Float32Product:
    """Float32 inner products and how far they can be off.

    Proof of the bound: summed in float32 in any order, with or without fused multiply-add, D products are
    off by at most g |x| |q|, g = D u / (1 - D u), u = 2^-24 (Higham, sec. 3.1, and Cauchy-Schwarz), and by 2^-126
    a term where a processor takes numbers below that for zero. The reported similarity adds `ROUNDED`.

    Args:
        vectors: (N, D) float32 rows no longer than `LONGEST`.
        queries: (Q, D) float32 rows no longer than `LONGEST`.
    """

    residuals: FloatArray | None = None

    def __init__(self, vectors: FloatArray, queries: FloatArray) -> None:
        num_queries, dim = queries.shape
        self._vectors, self._queries = vectors, queries
        self.scales = np.ones(num_queries)
        self.reach = np.zeros(num_queries)
        terms = (dim + 2) * _UNIT
        margin = (terms / (1 - terms) + ROUNDED) * LONGEST**2 + dim * 2.0**-126 + 1e-9
        self.margins: npt.NDArray[np.float64] = np.full(num_queries, margin)

    def block(self, start: int, stop: int) -> FloatArray:
        """(stop - start, Q) float32: products of some rows."""
        products: FloatArray = self._queries @ self._vectors[start:stop].T
        return products.T
