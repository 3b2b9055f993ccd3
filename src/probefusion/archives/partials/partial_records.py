"""What is known of people while an archive is fused: of each either the sums of rows, or the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["FEATURES", "Partials", "People"]

FEATURES = ("embeddings", "style", "quality")
"""What stands for rows."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Partials:
    """Partial results of p people, and r rows of them.

    Args:
        ids: (p,) int64, uint64 or text.
        hashes: (p,) uint64, ascending.
        first: (p,) int64, number of each one's first row.
        num_images: (p,) int64.
        has_state: (p,) whether there is a state.
        states: (q, W) float64, of those that have one.
        row_counts: (p,) int64, rows kept of each.
        embeddings: (r, D) as stored.
        style: (r, C, 2) as stored, or None.
        quality: (r,) as stored, or None.
        extra: More columns, each with p entries.
    """

    ids: npt.NDArray[Any]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.int64]
    num_images: npt.NDArray[np.int64]
    has_state: npt.NDArray[np.bool_]
    states: npt.NDArray[np.float64]
    row_counts: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.floating]
    style: npt.NDArray[np.floating] | None
    quality: npt.NDArray[np.floating] | None
    extra: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def of_nobody(state_width: int) -> Partials:
        """No people."""
        nothing = np.zeros(0, np.int64)
        return Partials(
            ids=nothing,
            hashes=nothing.astype(np.uint64),
            first=nothing,
            num_images=nothing,
            has_state=nothing.astype(bool),
            states=np.zeros((0, state_width)),
            row_counts=nothing,
            embeddings=np.zeros((0, 1)),
            style=None,
            quality=None,
            extra={},
        )

    @property
    def people(self) -> People:
        """All but states and rows."""
        return People(
            self.ids, self.hashes, self.first, self.num_images, self.row_counts, self.extra
        )

    def part(self, start: int, stop: int) -> Partials:
        """The people `start` to `stop`, as views."""
        states = np.concatenate([[0], np.cumsum(self.has_state)])
        rows = np.concatenate([[0], np.cumsum(self.row_counts)])
        people = slice(start, stop)
        features = slice(rows[start], rows[stop])
        return Partials(
            ids=self.ids[people],
            hashes=self.hashes[people],
            first=self.first[people],
            num_images=self.num_images[people],
            has_state=self.has_state[people],
            states=self.states[states[start] : states[stop]],
            row_counts=self.row_counts[people],
            embeddings=self.embeddings[features],
            style=None if self.style is None else self.style[features],
            quality=None if self.quality is None else self.quality[features],
            extra={name: column[people] for name, column in self.extra.items()},
        )

    def chosen(self, places: Numbers) -> Partials:
        """Some of the people, as copies.

        Args:
            places: (k,) their numbers, ascending.
        """
        states = np.cumsum(self.has_state) - 1
        counts = self.row_counts[places]
        begins = (np.cumsum(self.row_counts) - self.row_counts)[places]
        rows = np.repeat(begins - (np.cumsum(counts) - counts), counts)
        rows += np.arange(len(rows))
        return Partials(
            ids=self.ids[places],
            hashes=self.hashes[places],
            first=self.first[places],
            num_images=self.num_images[places],
            has_state=self.has_state[places],
            states=self.states[states[places[self.has_state[places]]]],
            row_counts=counts,
            embeddings=self.embeddings[rows],
            style=None if self.style is None else self.style[rows],
            quality=None if self.quality is None else self.quality[rows],
            extra={name: column[places] for name, column in self.extra.items()},
        )


class People(NamedTuple):
    """What stands in a batch beside states and rows.

    Attributes:
        ids: (p,) int64, uint64 or text.
        hashes: (p,) uint64, ascending.
        first: (p,) int64, number of each one's first row.
        num_images: (p,) int64.
        row_counts: (p,) int64, rows kept of each.
        extra: More columns, each with p entries.
    """

    ids: npt.NDArray[Any]
    hashes: npt.NDArray[np.uint64]
    first: npt.NDArray[np.int64]
    num_images: npt.NDArray[np.int64]
    row_counts: npt.NDArray[np.int64]
    extra: dict[str, npt.NDArray[Any]]

    def some(self, places: Numbers) -> People:
        """Some of them, in the order of `places`."""
        return People(
            ids=self.ids[places],
            hashes=self.hashes[places],
            first=self.first[places],
            num_images=self.num_images[places],
            row_counts=self.row_counts[places],
            extra={name: column[places] for name, column in self.extra.items()},
        )
