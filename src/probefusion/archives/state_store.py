"""The states of the templates that have begun and not ended, in arrays of a fixed size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.fusion.contributions import Sums

__all__ = ["StateStore"]

_STATES_AT_ONCE = 256
"""States added in one step: bounds what is held twice."""


class StateStore:
    """Sums of up to `capacity` templates at a time; a template's place is free again once it is taken.

    Args:
        capacity: Templates that may be open at the same time.
        num_templates: T; templates are named by their place in the table.
        like: Sums of any set, for the sizes.
    """

    def __init__(self, capacity: int, num_templates: int, like: Sums) -> None:
        self._arrays = Sums.zeros_like(like, capacity)  # pages of memory come as they are written
        self._slot = np.full(num_templates, -1, np.int64)
        self._free = list(range(capacity - 1, -1, -1))

    def add(self, owners: npt.NDArray[np.int64], part: Sums) -> None:
        """Adds sums to different templates: owners (b,), part of b sets."""
        for start in range(0, len(owners), _STATES_AT_ONCE):
            chosen = slice(start, start + _STATES_AT_ONCE)
            slots = self._slot[owners[chosen]]
            is_new = slots < 0
            slots[is_new] = [self._free.pop() for _ in range(int(is_new.sum()))]
            self._slot[owners[chosen]] = slots
            for whole, added in zip(self._arrays, part, strict=True):
                whole[slots[is_new]] = added[chosen][is_new]
                whole[slots[~is_new]] += added[chosen][~is_new]

    def take(self, owners: npt.NDArray[np.int64]) -> Sums:
        """The sums of templates, which are let go; zero for those that are not here."""
        slots = self._slot[owners]
        is_here = slots >= 0
        taken = Sums.zeros_like(self._arrays, len(owners))
        for found, whole in zip(taken, self._arrays, strict=True):
            found[is_here] = whole[slots[is_here]]
        self._slot[owners] = -1
        self._free.extend(slots[is_here].tolist())
        return taken

    def open_states(self) -> tuple[npt.NDArray[np.int64], Sums]:
        """All templates that are open, and their sums."""
        owners = np.flatnonzero(self._slot >= 0)
        return owners, Sums(*(array[self._slot[owners]] for array in self._arrays))
