"""Validation of what an index is given: one function per rule, each with one clear error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_finite_rows, check_float_array, row_norms
from probefusion.errors import ConfigError, DtypeError, InvalidInputError, ShapeError
from probefusion.types import UNIT_TOLERANCE, FloatArray

__all__ = [
    "DEFAULT_TOP_K",
    "LONGEST",
    "MAX_DIM",
    "check_one_each",
    "check_unit_rows",
    "checked_at_least",
    "checked_dim",
    "checked_ids",
    "checked_top_k",
]

MAX_DIM = 65_536
"""Vectors of more numbers are refused: sums of 8-bit products would no longer fit 32 bits."""

LONGEST = 1 + UNIT_TOLERANCE + 1e-6
"""No row is longer: the tolerance, and the rounding of the length that was measured."""

DEFAULT_TOP_K = 10
"""Results of a search that asks for neither a number nor a threshold."""


def checked_dim(dim: object) -> int:
    """The dimension as it is.

    Raises:
        ConfigError: If it is no whole number of 1 to `MAX_DIM`.
    """
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or not 1 <= dim <= MAX_DIM:
        raise ConfigError(f"dim: expected a whole number of 1 to {MAX_DIM}, got {dim!r}.")
    return int(dim)


def checked_ids(ids: Sequence[str] | npt.NDArray[np.str_]) -> list[str]:
    """The ids as a list.

    Raises:
        DtypeError: If they are no texts.
        InvalidInputError: If one occurs twice.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Sequence | np.ndarray):
        raise DtypeError(
            f"ids: expected a list of texts, got {type(ids).__name__} {ids!r}. For a single one give [id]."
        )
    names: list[str] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
    for name in names:
        if not isinstance(name, str):
            raise DtypeError(
                f"ids: expected texts, got {type(name).__name__} {name!r}. Convert them with str()."
            )
    if len(set(names)) < len(names):
        seen: set[str] = set()
        first = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidInputError(
            f"ids: expected each once, got {first!r} {names.count(first)} times. Give one vector a person."
        )
    return names


def check_one_each(ids: list[str], vectors: FloatArray) -> None:
    """Refuses vectors that are more or fewer than ids.

    Raises:
        ShapeError: If the numbers differ.
    """
    if len(ids) != len(vectors):
        raise ShapeError(f"vectors: expected one row per id ({len(ids)}), got {len(vectors)} rows.")


def check_unit_rows(vectors: npt.ArrayLike, dim: int, *, name: str) -> FloatArray:
    """The vectors as (N, dim) float32.

    Raises:
        DtypeError: If they are no floating point.
        ShapeError: If they have another shape.
        NonFiniteError: For NaN or infinity.
        InvalidInputError: If one is not of unit length within `UNIT_TOLERANCE`.
    """
    rows = check_float_array(vectors, name=name, shape=(None, dim))
    check_finite_rows(rows, name=name)
    norms = row_norms(rows)
    wrong = np.flatnonzero(np.abs(norms - 1) > UNIT_TOLERANCE)
    if len(wrong):
        raise InvalidInputError(
            f"{name} {wrong[0]}: expected unit length, got {norms[wrong[0]]:.6g} ({len(wrong)} such rows). "
            f"Divide each by its length."
        )
    return rows


def checked_top_k(top_k: object, at_least: object) -> int | None:
    """The number of results asked for, or None for all that reach the threshold.

    Raises:
        DtypeError: If it is no whole number.
        ConfigError: If it is below 1.
    """
    if top_k is None:
        return DEFAULT_TOP_K if at_least is None else None
    if isinstance(top_k, bool) or not isinstance(top_k, int | np.integer):
        raise DtypeError(
            f"top_k: expected a whole number or None, got {type(top_k).__name__} {top_k!r}."
        )
    if top_k < 1:
        raise ConfigError(f"top_k: expected at least 1, got {top_k}.")
    return int(top_k)


def checked_at_least(at_least: object) -> float:
    """The threshold, -inf for none.

    Raises:
        DtypeError: If it is no number.
        ConfigError: If it is NaN.
    """
    if at_least is None:
        return -math.inf
    if isinstance(at_least, bool) or not isinstance(at_least, int | float | np.number):
        raise DtypeError(
            f"at_least: expected a number or None, got {type(at_least).__name__} {at_least!r}."
        )
    if math.isnan(at_least):
        raise ConfigError("at_least: expected a similarity, got NaN. Give None for no threshold.")
    return float(at_least)
