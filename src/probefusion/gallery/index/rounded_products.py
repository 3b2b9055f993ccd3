"""Inner products of unit vectors that come out the same however they are computed."""

from __future__ import annotations

import math

import numpy as np

from probefusion.gallery.index.index_checks import LONGEST
from probefusion.types import FloatArray

__all__ = ["rounded_products"]

_CELLS_AT_ONCE = 1 << 17
"""Numbers widened to float64 at a time: 1 MB, within a processor's cache."""

_UNIT = 2.0**-53
"""Unit roundoff of float64."""


def rounded_products(rows: FloatArray, query: FloatArray) -> FloatArray:
    """Inner products of rows with a query: each the exact one, rounded to float64 and then to float32.

    The value depends on the two vectors alone: not on neighbours, batch, order of summation, BLAS or
    processor. Proof: the product of two float32 numbers is exact in float64 (twice 24 bits of mantissa;
    the smallest is 2^-298). A float64 sum of D of them, in any order, is off by at most
    D u / (1 - D u) times the sum of their magnitudes, u = 2^-53 (Higham, "Accuracy and Stability of Numerical
    Algorithms", sec. 3.1), and that sum is at most the product of both lengths. So the exact product,
    and its float64 rounding with it, lies within that of the computed one; and rounding to float32 is monotone: if
    both ends of the interval round to one float32 number, that is the value. Where they do not (one pair in
    100,000, or vectors nearly orthogonal), `math.fsum` gives the exact sum, rounded once.

    Args:
        rows: (P, D) float32, none longer than `LONGEST`.
        query: (D,) float32, not longer either.

    Returns:
        (P,) float32; zeros are positive.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[0.6, 1e-9, -0.6], [0.5, 0.5, 0.0]], np.float32)
        >>> rounded_products(rows, np.full(3, 0.5, np.float32)).tolist()
        [4.999999858590343e-10, 0.5]
    """
    num_rows, dim = rows.shape
    wide_query = query.astype(np.float64)
    # Twice the bound: it covers the roundings of the bound itself and of the ends of the interval.
    spread = 2 * (dim + 1) * _UNIT / (1 - dim * _UNIT) * LONGEST**2
    found = np.empty(num_rows, np.float32)
    step = max(1, _CELLS_AT_ONCE // dim)
    for start in range(0, num_rows, step):
        wide = rows[start : start + step].astype(np.float64)
        sums = wide @ wide_query
        low, high = (sums - spread).astype(np.float32), (sums + spread).astype(np.float32)
        for place in np.flatnonzero(low != high):
            low[place] = math.fsum((wide[place] * wide_query).tolist())
        found[start : start + len(wide)] = low
    found += np.float32(0)  # turns -0 into 0
    return found
