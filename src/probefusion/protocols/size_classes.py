"""Classes of images by the width that the face had in the original."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError

__all__ = ["ALL_SIZES", "SizeClass", "with_all_sizes"]

_RANGE = re.compile(r"(\d+(?:\.\d+)?)?\.\.(\d+(?:\.\d+)?)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SizeClass:
    """Images whose faces had some width in the original.

    Args:
        low: Smallest width in pixels, or None.
        high: Width in pixels from which on a face is too large, or None. Without either every image
            belongs to the class, also of unknown width.

    Raises:
        ConfigError: If a bound is not above 0 and finite, or `low` is not below `high`.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        ascending = all(a < b for a, b in pairwise(bounds))
        if not (ascending and all(0 < bound < math.inf for bound in bounds)):
            raise ConfigError(
                f"face_px: expected bounds in pixels, above 0 and ascending, got {self.text}."
            )

    @staticmethod
    def parse(text: str) -> SizeClass:
        """The class of a text: "all", "..60", "60.." or "20..60".

        Raises:
            ConfigError: If it is no such text.

        Example:
            >>> SizeClass.parse("20..60.0").text
            '20..60'
        """
        if text == "all":
            return SizeClass()
        found = _RANGE.fullmatch(text)
        if found is None or text == "..":
            raise ConfigError(
                f"face_px: expected ..60, 60.., 20..60 or all (pixels of the face's width), got {text!r}."
            )
        low, high = (None if bound is None else float(bound) for bound in found.groups())
        return SizeClass(low=low, high=high)

    @property
    def text(self) -> str:
        """Its one spelling."""
        if self.low is None and self.high is None:
            return "all"
        return f"{_number(self.low)}..{_number(self.high)}"

    def holds(self, face_px: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which images belong to the class.

        Args:
            face_px: (n,) width of each face in pixels, NaN where it is not known.

        Returns:
            (n,) bool.
        """
        inside = np.ones(len(face_px), dtype=bool)
        if self.low is not None:
            inside &= face_px >= self.low
        if self.high is not None:
            inside &= face_px < self.high
        return inside


ALL_SIZES = SizeClass()
"""Every image, also of unknown width."""


def with_all_sizes(size_classes: Sequence[SizeClass]) -> tuple[SizeClass, ...]:
    """The classes with `all` before them.

    Raises:
        ConfigError: If one comes twice.
    """
    classes = (ALL_SIZES, *(entry for entry in size_classes if entry != ALL_SIZES))
    if len(set(classes)) < len(classes):
        shown = ", ".join(entry.text for entry in classes)
        raise ConfigError(f"face_px: expected each size class once, got {shown}.")
    return classes


def _number(bound: float | None) -> str:
    if bound is None:
        return ""
    return str(int(bound)) if float(bound).is_integer() else repr(float(bound))
