"""Which rows can be among the results of a search, by bounds on their similarities.

A product gives for each row i and query q an approximation f and promises |s - f b| <= r n + m for
the similarity s that will be reported: b, n and m belong to the query, r to the row.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from probefusion.types import FloatArray

__all__ = ["BoundedProduct", "Candidates", "find_candidates"]

_CELLS_AT_ONCE = 1 << 19
"""Approximations held at a time: 2 MB, within a processor's cache."""

_LARGEST_CHUNK = 32
"""Rows of which only the best is looked at, unless it can be among the results."""

_BEYOND = 4.0
"""No similarity is as large, nor its negative."""

_Places = npt.NDArray[np.intp]


class BoundedProduct(Protocol):
    """Approximate similarities of all rows to Q queries, with bounds on what they are off.

    Args:
        scales: (Q,) float64, b.
        reach: (Q,) float64, n: how much of a row's residual counts.
        margins: (Q,) float64, m.
        residuals: (N,) r of each row, or None if all are 0.
    """

    scales: npt.NDArray[np.float64]
    reach: npt.NDArray[np.float64]
    margins: npt.NDArray[np.float64]
    residuals: FloatArray | None

    def block(self, start: int, stop: int) -> FloatArray:
        """(stop - start, Q) float32: f of some rows."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Rows that can be among the results of one query.

    Args:
        rows: (P,) rows.
        upper: (P,) float64: no similarity is above its bound.
    """

    rows: _Places
    upper: npt.NDArray[np.float64]


def find_candidates(
    product: BoundedProduct,
    num_rows: int,
    *,
    top_k: int | None,
    at_least: npt.NDArray[np.float64],
) -> list[Candidates]:
    """For each query all rows that can be among the results.

    A row is left out only if its upper bound f b + r n + m is below the query's `at_least`, or below a
    number that `top_k` other rows reach for certain. That number is the `top_k`-th largest lower bound
    f b - r n - m of rows in different chunks, so every row among the `top_k` best, and every one equal
    to the last of them, is returned: its similarity is at least the `top_k`-th best of all, that is at
    least the `top_k`-th best of some, and its upper bound is no less.

    Args:
        product: The bounds.
        num_rows: N >= 1.
        top_k: How many are asked for, or None for all that reach `at_least`.
        at_least: (Q,) float64; -inf where there is no threshold.

    Returns:
        Q `Candidates`.
    """
    num_queries = len(at_least)
    at_least = np.clip(at_least, -_BEYOND, _BEYOND)  # finite, so that float32 holds it
    chunk = _LARGEST_CHUNK
    while top_k is not None and chunk > 1 and num_rows < 4 * chunk * top_k:
        chunk //= 2
    step = max(chunk, _CELLS_AT_ONCE // num_queries // _LARGEST_CHUNK * _LARGEST_CHUNK)
    kth = _KthBest(top_k, num_queries)
    found: list[tuple[_Places, _Places, npt.NDArray[np.float64]]] = []
    for start in range(0, num_rows, step):
        stop = min(start + step, num_rows)
        values = product.block(start, stop)
        best = _chunk_maxima(values, chunk) * product.scales
        spread = product.margins
        if product.residuals is not None:
            spread = spread + float(product.residuals[start:stop].max()) * product.reach
        kth.add(best - spread)
        floors = np.maximum(at_least, kth.values)
        chunks, queries = np.nonzero(best + spread >= floors)
        if len(chunks):
            found.append(
                _open_chunks(product, values, start, chunk, chunks, queries, floors, spread)
            )
    return _by_query(found, np.maximum(at_least, kth.values))


def _by_query(
    found: list[tuple[_Places, _Places, npt.NDArray[np.float64]]],
    floors: npt.NDArray[np.float64],
) -> list[Candidates]:
    """Sorts (rows, queries, upper bounds) by query, without those below the query's floor."""
    if not found:
        none = Candidates(rows=np.empty(0, np.intp), upper=np.empty(0))
        return [none] * len(floors)
    rows, queries, upper = (np.concatenate(column) for column in zip(*found, strict=True))
    kept = np.flatnonzero(upper >= floors[queries])
    kept = kept[np.argsort(queries[kept], kind="stable")]
    ends = np.searchsorted(queries[kept], np.arange(len(floors) + 1))
    places = [kept[start:stop] for start, stop in itertools.pairwise(ends)]
    return [Candidates(rows=rows[place], upper=upper[place]) for place in places]


class _KthBest:
    """The k-th largest of the numbers seen for each query, -inf while there are fewer."""

    def __init__(self, top_k: int | None, num_queries: int) -> None:
        self._top_k = top_k
        self._best = np.empty((0, num_queries))
        self.values = np.full(num_queries, -np.inf)

    def add(self, numbers: npt.NDArray[np.float64]) -> None:
        """Adds (C, Q) numbers."""
        if self._top_k is None or not (numbers > self.values).any():
            return
        best = np.concatenate([self._best, numbers])
        if len(best) > self._top_k:
            best = np.partition(best, len(best) - self._top_k, axis=0)[-self._top_k :]
        self._best = best
        if len(best) == self._top_k:
            self.values = best.min(axis=0)


def _chunk_maxima(values: FloatArray, chunk: int) -> FloatArray:
    """(B, Q) to (B / chunk, Q), the last of the rest; the largest of each chunk of rows, a power of 2.

    Halves of chunks are compared with each other again and again: for few queries that is many times faster than
    NumPy's maximum along an axis.
    """
    if chunk == 1:
        return values
    num_rows, num_queries = values.shape
    whole = num_rows - num_rows % chunk
    maxima: FloatArray = values[:whole].reshape(-1, chunk * num_queries)
    while maxima.shape[1] > num_queries:
        half = maxima.shape[1] // 2
        maxima = np.maximum(maxima[:, :half], maxima[:, half:])
    if whole < num_rows:
        maxima = np.concatenate([maxima, values[whole:].max(axis=0, keepdims=True)])
    return maxima


def _open_chunks(
    product: BoundedProduct,
    values: FloatArray,
    start: int,
    chunk: int,
    chunks: _Places,
    queries: _Places,
    floors: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
) -> tuple[_Places, _Places, npt.NDArray[np.float64]]:
    """Rows, queries and upper bounds of the pairs in some chunks that reach the floor."""
    num_rows, num_queries = values.shape
    rows = chunks[:, None] * chunk + np.arange(chunk)
    inside = np.minimum(rows, num_rows - 1)  # the last chunk may be shorter
    # One take from the flat array is several times faster than an index for each axis.
    if values.flags.c_contiguous:
        picked = values.reshape(-1)[inside * num_queries + queries[:, None]]
    else:
        picked = values.T.reshape(-1)[queries[:, None] * num_rows + inside]
    least = ((floors - spread) / product.scales).astype(np.float32)
    least = np.nextafter(least, np.float32(-np.inf))
    likely = (picked >= least[queries, None]) & (rows < num_rows)
    where, _ = np.nonzero(likely)
    rows, queries = rows[likely], queries[where]
    upper = picked[likely] * product.scales[queries] + product.margins[queries]
    if product.residuals is not None:
        upper += product.residuals[rows + start] * product.reach[queries]
    kept = upper >= floors[queries]
    return rows[kept] + start, queries[kept], upper[kept]
