"""Which images enrol whom and search for whom, in several random draws: what every rule is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, InvalidInputError, ShapeError
from probefusion.types import EmbeddingSet

__all__ = ["Rows", "SmearSets", "SmearSize", "draw_halves"]

Rows = npt.NDArray[np.int64]

_HALVES_SEED = 29


@dataclass(frozen=True, kw_only=True)
class SmearSize:
    """How many images enrol a person, and how many search for one.

    Args:
        num_enrolled: Images that each person of the gallery is enrolled from.
        num_probe: Images of each search.
    """

    num_enrolled: int
    num_probe: int

    def __str__(self) -> str:
        """As `8/1`: enrolled from eight, searched with one."""
        return f"{self.num_enrolled}/{self.num_probe}"

    @staticmethod
    def parse(text: str) -> SmearSize:
        """Reads `8/1`.

        Raises:
            ConfigError: If it is no two whole numbers of 1 or more.
        """
        enrolled, slash, probe = text.partition("/")
        if not (slash and enrolled.isdecimal() and probe.isdecimal()):
            raise ConfigError(f"size: expected two numbers as '8/1', got {text!r}.")
        if min(int(enrolled), int(probe)) < 1:
            raise ConfigError(f"size: expected numbers of 1 or more, got {text!r}.")
        return SmearSize(num_enrolled=int(enrolled), num_probe=int(probe))


@dataclass(frozen=True, kw_only=True, eq=False)
class SmearSets:
    """Embedded images, and which of them enrol and search in each draw.

    Args:
        people: (P,) names, all different.
        images: The images that the rows point at.
        enrolled: (R, P, N) int64 rows; a smaller enrolment is the first of them.
        probes: (R, P, M) int64 rows; a smaller search is the first of them.
        source: What they are, in words.

    Raises:
        ShapeError: If the numbers do not fit.
        InvalidInputError: If a person stands twice, there are fewer than four, or a row is out of range.
    """

    people: npt.NDArray[np.str_]
    images: EmbeddingSet
    enrolled: Rows
    probes: Rows
    source: str

    def __post_init__(self) -> None:
        count = len(self.people)
        if len(np.unique(self.people)) < max(count, 4):
            raise InvalidInputError(
                f"people: expected at least four different ones, got {count} names."
            )
        for name, rows in (("enrolled", self.enrolled), ("probes", self.probes)):
            if rows.ndim != 3 or rows.shape[:2] != (len(self.enrolled), count):
                raise ShapeError(
                    f"{name}: expected (R, P, images) with P = {count} people and as many draws as "
                    f"enrolled, got {rows.shape}."
                )
            if rows.size and not 0 <= rows.min() <= rows.max() < self.images.num_images:
                raise InvalidInputError(
                    f"{name}: expected rows from 0 to {self.images.num_images - 1}, got {rows.min()} to "
                    f"{rows.max()}."
                )

    @property
    def num_draws(self) -> int:
        """R."""
        return len(self.enrolled)

    def rows_of(self, draw: int, size: SmearSize) -> tuple[Rows, Rows]:
        """(P, N) and (P, M) rows of one draw at one size.

        Raises:
            ConfigError: If fewer images were drawn than the size asks for.
        """
        held = SmearSize(num_enrolled=self.enrolled.shape[2], num_probe=self.probes.shape[2])
        if size.num_enrolled > held.num_enrolled or size.num_probe > held.num_probe:
            raise ConfigError(f"size: expected at most {held}, which was drawn, got {size}.")
        return (
            self.enrolled[draw, :, : size.num_enrolled],
            self.probes[draw, :, : size.num_probe],
        )


def draw_halves(num_people: int, draw: int) -> npt.NDArray[np.bool_]:
    """(P,) who is in the first half; with an odd number the second half is larger by one.

    Depends on the two numbers alone, so that all rules and embedders see the same halves.
    """
    order = np.random.default_rng([_HALVES_SEED, draw]).permutation(num_people)
    is_first = np.zeros(num_people, dtype=np.bool_)
    is_first[order[: num_people // 2]] = True
    return is_first
