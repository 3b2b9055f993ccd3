"""Sums of products over the images of many sets at once, in float64.

float64 is what makes a state exact: rounding is then a billion times smaller than the lightest
image's part, so an image leaves the sums as it came, whatever else was summed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["set_blocks", "set_masses", "set_sums"]

_Wide = npt.NDArray[np.float64]

_LARGEST_PRODUCT = 2**18
"""Multiplications in one matrix product: up to here BLAS libraries stay in the calling thread. More would wake
threads that wait for each other beside those that already compute other blocks."""

_SHORT = 16
"""Sets up to this size are computed together, those of one size in one product."""


def set_sums(
    weights: _Wide,
    values: npt.NDArray[np.floating],
    borders: npt.NDArray[np.int64] | tuple[int, int],
) -> _Wide:
    """For each set the sum over its images of weight times value.

    There is no padding and, for sets of up to 16 images, no Python step per set; a larger set costs
    one call of a matrix product.

    Args:
        weights: (N, M) float64.
        values: (N, D) floating point.
        borders: (B+1,) integers, ascending from 0 to N; set b is rows borders[b]:borders[b+1].

    Returns:
        (B, M, D) float64; zero for a set without images.
    """
    if len(borders) == 2:
        return _products(weights, values)[None]
    wide = values.astype(np.float64)
    edges = np.asarray(borders)
    starts, lengths = edges[:-1], np.diff(edges)
    sums = np.empty((len(lengths), weights.shape[1], wide.shape[1]))
    for length in np.unique(lengths[lengths <= _SHORT]):
        chosen = np.flatnonzero(lengths == length)
        rows = starts[chosen, None] + np.arange(length)
        sums[chosen] = np.matmul(weights[rows].transpose(0, 2, 1), wide[rows])
    for index in np.flatnonzero(lengths > _SHORT):
        part = slice(edges[index], edges[index + 1])
        sums[index] = _products(weights[part], wide[part])
    return sums


def set_masses(weights: _Wide, borders: npt.NDArray[np.int64] | tuple[int, int]) -> _Wide:
    """For each set the sum of its images' weights.

    Args:
        weights: (N, M) float64.
        borders: As for `set_sums`.

    Returns:
        (B, M) float64.
    """
    if len(borders) == 2:
        total: _Wide = weights.sum(axis=0)
        return total[None]
    return set_sums(np.ones((len(weights), 1)), weights, borders)[:, 0]


def _products(weights: _Wide, values: npt.NDArray[np.floating]) -> _Wide:
    """The sum over rows of weight times value, (M, D)."""
    step = max(1, _LARGEST_PRODUCT // max(1, weights.shape[1] * values.shape[1]))
    total: _Wide = weights[:step].T @ values[:step].astype(np.float64)
    for start in range(step, len(weights), step):
        part = slice(start, start + step)
        total += weights[part].T @ values[part].astype(np.float64)
    return total


def set_blocks(
    borders: npt.NDArray[np.int64], size: int
) -> Iterator[tuple[int, int, int, npt.NDArray[np.int64]]]:
    """Cuts the images of many sets into blocks: whole sets together, or a part of one that is larger than a block.

    Where a set is cut depends on that set alone, so its sums are the same bits whatever stands beside it.

    Args:
        borders: (B+1,) ascending; set b is rows borders[b]:borders[b+1].
        size: Most images in a block.

    Yields:
        First and last-plus-one row, the first set that has images in the block, and the borders of
        the sets inside the block, relative to its first row.
    """
    first, count = 0, len(borders) - 1
    while first < count:
        begin = int(borders[first])
        last = int(np.searchsorted(borders, begin + size, side="right")) - 1
        if last > first:
            yield begin, int(borders[last]), first, borders[first : last + 1] - begin
            first = last
            continue
        end = int(borders[first + 1])
        for start in range(begin, end, size):
            stop = min(start + size, end)
            yield start, stop, first, np.array([0, stop - start])
        first += 1
