"""Unit vectors by id in one growing array, and the checks of what is put there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_finite_rows, check_float_array, row_norms
from probefusion.errors import ConfigError, DtypeError, InvalidInputError, ShapeError
from probefusion.types import UNIT_TOLERANCE, FloatArray

__all__ = ["LONGEST", "MAX_DIM", "UnitRows", "check_unit_rows", "checked_dim", "checked_ids"]

MAX_DIM = 65_536
"""Vectors of more numbers are refused: sums of 8-bit products would no longer fit 32 bits."""

LONGEST = 1 + UNIT_TOLERANCE + 1e-6
"""No row is longer: the tolerance, and the rounding of the length that was measured."""

_FIRST_ROWS = 64

Number = TypeVar("Number", bound=np.generic)


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


class UnitRows:
    """N unit vectors, row by row without gaps, and whose they are.

    Room grows by half when it is used up, so that N single additions cost O(N). A removal moves the
    last row to the free place.

    Args:
        dim: D.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.ids: list[str] = []
        self.places: dict[str, int] = {}
        self._room: FloatArray = np.empty((0, dim), np.float32)

    def __len__(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def vectors(self) -> FloatArray:
        """(N, D) float32, a view."""
        return self._room[: len(self.ids)]

    def places_of(self, ids: list[str]) -> list[int]:
        """The rows of ids.

        Raises:
            InvalidInputError: If one is not here.
        """
        unknown = [name for name in ids if name not in self.places]
        if unknown:
            raise InvalidInputError(
                f"ids: {unknown[0]!r} is not among the {len(self)} of the index ({len(unknown)} such ids). "
                f"Put it first, or leave it out."
            )
        return [self.places[name] for name in ids]

    def put(self, ids: list[str], vectors: FloatArray) -> npt.NDArray[np.intp]:
        """Appends new ids and gives known ones their new vector.

        Returns:
            The rows that were written, in the order of `ids`.

        Raises:
            ShapeError: If there is not one vector for each id. Nothing has changed then.
        """
        if len(ids) != len(vectors):
            raise ShapeError(
                f"vectors: expected one row per id ({len(ids)}), got {len(vectors)} rows."
            )
        new = [name for name in ids if name not in self.places]
        self._room = grown(self._room, len(self) + len(new))
        self.places.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
        self.ids.extend(new)
        written = np.array([self.places[name] for name in ids], dtype=np.intp)
        self._room[written] = vectors
        return written

    def remove(self, name: str) -> tuple[int, int]:
        """Takes an id out.

        Returns:
            The place that got free, and the row, formerly the last, that lies there now.
        """
        place, last = self.places.pop(name), len(self.ids) - 1
        moved = self.ids.pop()
        if place != last:
            self.ids[place], self.places[moved] = moved, place
            self._room[place] = self._room[last]
        return place, last


def grown(room: npt.NDArray[Number], num_rows: int) -> npt.NDArray[Number]:
    """The array itself if it has room for so many rows, or a larger one with its rows."""
    if num_rows <= len(room):
        return room
    rows = num_rows if len(room) == 0 else max(num_rows, len(room) + len(room) // 2)
    larger = np.empty((max(rows, _FIRST_ROWS), *room.shape[1:]), room.dtype)
    larger[: len(room)] = room
    return larger
