"""Cosine similarities of many templates, in blocks, as matrices or for listed pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_finite_rows, check_float_array, check_nonzero_rows, row_norms
from probefusion.errors import DtypeError, EmptySetError, InvalidInputError, ShapeError
from probefusion.metrics.validation import Counts, check_count

__all__ = ["compare_all", "iter_similarities", "pair_similarities"]

_Matrix = npt.NDArray[np.float32]

_GATHER_COST = 40
"""How many cells of a matrix product take as long as fetching one pair of rows."""


def iter_similarities(
    probe_templates: npt.ArrayLike, gallery_templates: npt.ArrayLike, *, block: int = 1024
) -> Iterator[tuple[slice, _Matrix]]:
    """Cosines of all probes with all gallery templates, some rows at a time.

    The input is checked before the first block is asked for.

    Memory: the unit templates and one block of (block, G) float32.

    Args:
        probe_templates: (P, D) floating point, any length but zero.
        gallery_templates: (G, D) floating point, any length but zero.
        block: Probes per block.

    Returns:
        An iterator over (rows, similarities): which probes, and (rows, G) float32 in [-1, 1].

    Raises:
        EmptySetError: If one side is empty.
        ShapeError, DtypeError, NonFiniteError, ZeroLengthError: If the templates are not as
            described.
        InvalidInputError: If `block` is below 1.

    Example:
        >>> blocks = iter_similarities(np.eye(3), np.eye(3), block=2)
        >>> [(rows.start, rows.stop, part.shape) for rows, part in blocks]
        [(0, 2, (2, 3)), (2, 3, (1, 3))]
    """
    block = check_count(block, name="block", minimum=1)
    probes = _unit_rows(probe_templates, "probe_templates")
    gallery = _unit_rows(gallery_templates, "gallery_templates")
    if probes.shape[1] != gallery.shape[1]:
        raise ShapeError(
            f"gallery_templates: expected dimension {probes.shape[1]} as in probe_templates, got "
            f"{gallery.shape[1]}. Make both with the same embedder."
        )
    return _blocks(probes, gallery, block)


def _blocks(probes: _Matrix, gallery: _Matrix, block: int) -> Iterator[tuple[slice, _Matrix]]:
    for start in range(0, len(probes), block):
        rows = slice(start, min(start + block, len(probes)))
        similarities = probes[rows] @ gallery.T
        yield rows, np.clip(similarities, -1, 1, out=similarities)


def _unit_rows(templates: npt.ArrayLike, name: str) -> _Matrix:
    array = check_float_array(templates, name=name, shape=(None, None))
    if array.size == 0:
        raise EmptySetError(f"{name} is empty (shape {array.shape}): expected at least one row.")
    check_finite_rows(array, name=name)
    norms = row_norms(array)
    check_nonzero_rows(norms, name=name)
    return array / norms[:, None]


def compare_all(
    probe_templates: npt.ArrayLike, gallery_templates: npt.ArrayLike, *, block: int = 1024
) -> _Matrix:
    """The matrix of cosines of all probes with all gallery templates.

    Args:
        probe_templates: (P, D) floating point, any length but zero.
        gallery_templates: (G, D) floating point, any length but zero.
        block: Probes per step; changes memory, and the result by rounding only.

    Returns:
        (P, G) float32 in [-1, 1].

    Raises:
        EmptySetError: If one side is empty.
        ShapeError, DtypeError, NonFiniteError, ZeroLengthError: If the templates are not as
            described.
        InvalidInputError: If `block` is below 1.

    Example:
        >>> compare_all([[3.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]]).round(3).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    blocks = iter_similarities(probe_templates, gallery_templates, block=block)
    return np.concatenate([similarities for _, similarities in blocks])


def pair_similarities(
    templates: npt.ArrayLike,
    index_a: npt.ArrayLike,
    index_b: npt.ArrayLike,
    *,
    block: int = 1024,
) -> _Matrix:
    """Cosines of listed pairs of templates, such as the 15.6 million pairs of IJB-C.

    Where the pairs fill a good part of the rectangle of the templates that occur in them, the whole
    rectangle is multiplied a block of rows at a time and the pairs are picked out; otherwise the rows
    of each pair are fetched. Both give the same numbers up to float32 rounding.

    Memory: the templates twice, about 40 bytes a pair, and `block` rows of the rectangle.

    Args:
        templates: (T, D) floating point, any length but zero.
        index_a: (K,) integers, rows of `templates`.
        index_b: (K,) integers, rows of `templates`.
        block: Rows per step.

    Returns:
        (K,) float32 in [-1, 1], in the order of the pairs.

    Raises:
        EmptySetError: If there are no templates or no pairs.
        InvalidInputError: If an index is out of range or `block` is below 1.
        ShapeError, DtypeError, NonFiniteError, ZeroLengthError: If the input is not as described.

    Example:
        >>> templates = [[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]]
        >>> pair_similarities(templates, [0, 1], [1, 2]).round(3).tolist()
        [0.6000000238418579, 0.800000011920929]
    """
    block = check_count(block, name="block", minimum=1)
    unit = _unit_rows(templates, "templates")
    first = _check_index(index_a, len(unit), "index_a")
    second = _check_index(index_b, len(unit), "index_b")
    if len(first) != len(second):
        raise ShapeError(
            f"index_b: expected one entry for each of index_a ({len(first)}), got {len(second)}."
        )
    rows, row_of = _compact(first, len(unit))
    columns, column_of = _compact(second, len(unit))
    if len(rows) * len(columns) > _GATHER_COST * len(first):
        return _fetched(unit, first, second, block)
    # Pairs in the order of their rows, so that each block of rows owns one run of them.
    order = np.argsort(row_of, kind="stable")
    starts = np.searchsorted(row_of[order], np.arange(0, len(rows) + block, block))
    found = np.empty(len(first), dtype=np.float32)
    right = unit[columns]
    for number, start in enumerate(range(0, len(rows), block)):
        matrix = unit[rows[start : start + block]] @ right.T
        run = order[starts[number] : starts[number + 1]]
        found[run] = matrix[row_of[run].astype(np.int64) - start, column_of[run]]
    return np.clip(found, -1, 1, out=found)


def _fetched(unit: _Matrix, first: Counts, second: Counts, block: int) -> _Matrix:
    found = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), block):
        run = slice(start, start + block)
        np.einsum("kd,kd->k", unit[first[run]], unit[second[run]], out=found[run])
    return np.clip(found, -1, 1, out=found)


def _check_index(index: npt.ArrayLike, num_rows: int, name: str) -> Counts:
    array = np.asarray(index)
    if array.size == 0:
        raise EmptySetError(f"{name} is empty: expected at least one pair.")
    if array.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integers, got {array.dtype}.")
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected one axis, got shape {array.shape}.")
    if array.min() < 0 or array.max() >= num_rows:
        raise InvalidInputError(
            f"{name}: expected rows from 0 to {num_rows - 1}, got {array.min()} to {array.max()}. "
            f"Template ids must be turned into row numbers first."
        )
    return array.astype(np.int64, copy=False)


def _compact(index: Counts, num_rows: int) -> tuple[Counts, npt.NDArray[Any]]:
    """The rows that occur, ascending, and where each entry stands among them."""
    occurs = np.zeros(num_rows, dtype=bool)
    occurs[index] = True
    rows = np.flatnonzero(occurs).astype(np.int64, copy=False)
    # Short integers are sorted by radix, several times faster.
    kind = np.uint16 if len(rows) <= np.iinfo(np.uint16).max else np.int64
    place = (np.cumsum(occurs) - 1).astype(kind)
    return rows, place[index]
