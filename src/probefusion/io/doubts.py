"""Arrays without names: what looks as if it were no embeddings, or not one row per image, is questioned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.files.reading import in_one_line

__all__ = ["question_columns", "question_shape"]

_COMMON_DIMS = frozenset(
    {128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048, 2622, 4096}
)
"""How many numbers the embeddings of the known networks have."""

_FEW = 16
"""No face network gives fewer numbers."""

_MANY = 64
"""So many images of fewer numbers are no toy example."""

_FAR_OUTSIDE = 8.0
"""How many times the largest dimension an outer column must be to be no dimension, medians over the rows. Of
38000 real faces by three networks it was at most 1.5, of single rows too; the largest of all dimensions of a
single row was up to 2.8 times the next."""

_FEWEST_INNER = 4
"""So many other columns tell how large a dimension is."""

_ROWS_MEASURED = 1024
"""Medians are taken over so many rows at most, spread evenly."""

_HOW_TO_INSIST = (
    "If they are right as they are, say so by a name: np.savez('set.npz', embeddings=array), "
    "EmbeddingSet(embeddings=array)."
)
_HOW_TO_LEAVE_OUT = f"Take it out, or name the columns in a first line. {_HOW_TO_INSIST}"


def question_shape(array: npt.NDArray[Any], *, origin: str) -> None:
    """Refuses an array that is transposed, or no embeddings, by the look of its shape.

    That is one of fewer than 16 columns and at least 64 rows, or of as many rows as embeddings often have
    numbers and of columns that are neither so many nor a multiple of 16.

    Args:
        array: Supposed to be (N, D).
        origin: Where it comes from, for messages.

    Raises:
        ShapeError: If it looks like that; says how to insist.
    """
    if array.ndim != 2:
        return
    rows, columns = array.shape
    is_turned = rows in _COMMON_DIMS and columns not in _COMMON_DIMS and columns % 16 != 0
    if is_turned:
        raise ShapeError(
            f"{in_one_line(origin)}: expected one row per image, (N, D), got {array.shape}, which looks like {columns} "
            f"embeddings of {rows} numbers in columns. Transpose it: array.T. {_HOW_TO_INSIST}"
        )
    if columns < _FEW and rows >= _MANY:
        raise ShapeError(
            f"{in_one_line(origin)}: expected embeddings (N, D), got {array.shape}; no face network gives {columns} "
            f"numbers an image. Is this a table of something else? {_HOW_TO_INSIST}"
        )


def question_columns(array: npt.NDArray[Any], *, origin: str) -> None:
    """Refuses a table without names whose first or last column looks like ids, labels, an index or scores.

    That is one of whole numbers, not all 0, where most other columns hold none; or one whose median magnitude
    is more than 8 times that of every column between the two, where there are at least 4. Or there are one or two
    columns more than embeddings often have numbers.

    Args:
        array: (N, D).
        origin: Where it comes from, for messages.

    Raises:
        InvalidInputError: If it looks like that; names the column.
    """
    if array.ndim != 2 or array.shape[1] < 3 or not len(array) or array.dtype.kind not in "fiu":
        return
    if not np.isfinite(array).all():
        return
    _question_whole_numbers(array, origin)
    _question_magnitudes(array, origin)
    _question_number(array, origin)


def _question_whole_numbers(array: npt.NDArray[Any], origin: str) -> None:
    whole = (array == np.floor(array)).all(axis=0)
    if whole.mean() > 0.5:
        return
    for place in (0, array.shape[1] - 1):
        values = array[:, place]
        is_label = whole[place] and values.any() and (len(values) > 1 or abs(values[0]) >= 2)
        if is_label:
            raise InvalidInputError(
                f"{in_one_line(origin)}: column {place + 1} of {array.shape[1]} holds whole numbers "
                f"({_shown(values)}), unlike the others: an id, a label or an index? {_HOW_TO_LEAVE_OUT}"
            )


def _question_number(array: npt.NDArray[Any], origin: str) -> None:
    columns = array.shape[1]
    more = next((more for more in (1, 2) if columns - more in _COMMON_DIMS), 0)
    if more and columns not in _COMMON_DIMS:
        raise InvalidInputError(
            f"{in_one_line(origin)}: expected embeddings (N, D), got {array.shape}, which looks like embeddings of "
            f"{columns - more} numbers and {more} of something else: an id, a label, a score? {_HOW_TO_LEAVE_OUT}"
        )


def _question_magnitudes(array: npt.NDArray[Any], origin: str) -> None:
    """Both outer columns are measured by the inner ones alone, so that neither hides the other."""
    if array.shape[1] < _FEWEST_INNER + 2:
        return
    rows = array[:: -(-len(array) // _ROWS_MEASURED)]
    medians = np.median(np.abs(rows.astype(np.float64)), axis=0)
    largest = medians[1:-1].max()
    for place in (0, array.shape[1] - 1):
        if 0 < _FAR_OUTSIDE * largest < medians[place]:
            raise InvalidInputError(
                f"{in_one_line(origin)}: column {place + 1} of {array.shape[1]} holds numbers "
                f"({_shown(array[:, place])}) of {medians[place]:.3g} at the median, those between "
                f"first and last at most {largest:.3g}: a "
                f"score, a quality or a time? {_HOW_TO_LEAVE_OUT}"
            )


def _shown(values: npt.NDArray[Any]) -> str:
    return ", ".join(f"{value:g}" for value in values[:4]) + (", ..." if len(values) > 4 else "")
