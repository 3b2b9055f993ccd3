"""Unit vectors by id in one growing array."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.types import FloatArray

__all__ = ["UnitRows", "grown"]

_FIRST_ROWS = 64

Number = TypeVar("Number", bound=np.generic)


class UnitRows:
    """N unit vectors, row by row without gaps, and whose they are.

    Room grows by half when it is used up, so that N single additions cost O(N). A removal moves the
    last row to the free place and blanks where it was.

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

    @property
    def num_bytes(self) -> int:
        """Memory of the vectors, with the room to grow."""
        return self._room.nbytes

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

    def make_room(self, num_rows: int) -> None:
        """Sees to it that so many rows fit."""
        self._room = grown(self._room, num_rows)

    def put(self, ids: list[str], vectors: FloatArray) -> npt.NDArray[np.intp]:
        """Appends new ids and gives known ones their new vector.

        Args:
            ids: K ids, each once.
            vectors: (K, D) float32.

        Returns:
            The rows that were written, in the order of `ids`.
        """
        new = [name for name in ids if name not in self.places]
        self.make_room(len(self) + len(new))
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
        self._room[last] = 0  # who was taken out is not kept in free room
        return place, last


def grown(room: npt.NDArray[Number], num_rows: int) -> npt.NDArray[Number]:
    """The array itself if it has room for so many rows, or a larger one with its rows."""
    if num_rows <= len(room):
        return room
    rows = num_rows if len(room) == 0 else max(num_rows, len(room) + len(room) // 2)
    larger = np.empty((max(rows, _FIRST_ROWS), *room.shape[1:]), room.dtype)
    larger[: len(room)] = room
    return larger
