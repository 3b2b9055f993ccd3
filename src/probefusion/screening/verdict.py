"""What screening says of a set: one person, several, or that nothing can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from probefusion.files.reading import in_one_line

__all__ = ["FEWEST_IMAGES", "LEAST_DIM", "LEAST_IMAGES", "Part", "Screening"]

LEAST_IMAGES = 4
"""Smaller sets say nothing where it was not measured how alike images of one person are, and how good each is."""
FEWEST_IMAGES = 2
"""Smaller sets say nothing anywhere; of two or three images only good ones are told to be of two people."""
LEAST_DIM = 64
"""Of shorter embeddings no face network is known."""

_SURE = 0.9
_NAMES_SHOWN = 8

Verdict = Literal["one person", "several people", "cannot tell", "not screened"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Images of a set that go together.

    Args:
        rows: Their places in the set, ascending.
        weight: Their share in the template of all, 0 to 1.
        sureness: Probability for each that it belongs to this part rather than to the other, 0 to 1: low
            for images that are too poor to say.
    """

    rows: tuple[int, ...]
    weight: float
    sureness: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Screening:
    """Whether a set of images is of one person.

    Args:
        num_images: How many there are.
        verdict: "one person" (no sign of another), "several people", "cannot tell", or "not screened" where nobody
            looked.
        score: How much the worst split speaks for two people, a logarithm of odds; NaN if nothing can be told.
        threshold: Score from which on the verdict is "several people": 1 of 100 sets of one person reaches it.
        is_calibrated: Whether it was measured for this embedder; otherwise the most cautious of the expectations
            that were measured is taken.
        parts: Where there are several people, the heavier part and the other; () otherwise.
        outliers: Places of images that are unlike all others together, each by itself.
        reason: Why nothing can be told, or nobody looked; "" otherwise.
        sources: Names of the images, or None.
        beside: What else is fused with these images and was not screened, in words; "" for nothing.
    """

    num_images: int
    verdict: Verdict
    score: float
    threshold: float
    is_calibrated: bool
    parts: tuple[Part, ...] = ()
    outliers: tuple[int, ...] = ()
    reason: str = ""
    sources: tuple[str, ...] | None = None
    beside: str = ""

    @staticmethod
    def absent(num_images: int, reason: str) -> Screening:
        """Of images at which nobody looked.

        Args:
            num_images: How many there are.
            reason: Why, in words.
        """
        return Screening(
            num_images=num_images,
            verdict="not screened",
            score=math.nan,
            threshold=math.nan,
            is_calibrated=False,
            reason=reason,
        )

    @property
    def falls_apart(self) -> bool:
        """Whether the verdict is "several people"."""
        return self.verdict == "several people"

    def name_of(self, row: int) -> str:
        """The name of an image, or its place in words."""
        return self.sources[row] if self.sources is not None else f"image {row}"

    def __str__(self) -> str:
        """The verdict in words, with the images of the lighter part."""
        return f"{self._told()}; not screened: {self.beside}" if self.beside else self._told()

    def _told(self) -> str:
        if self.verdict == "cannot tell":
            return f"one person? cannot be told: {self.reason}"
        if self.verdict == "not screened":
            return f"not screened: {self.reason}"
        caution = (
            "" if self.is_calibrated else " (not calibrated for this embedder: told with caution)"
        )
        if self.verdict == "one person":
            return f"no sign of a second person in {self.num_images} images{caution}"
        heavier, lighter = self.parts
        return (
            f"the set falls apart, as if of several people: {_counted(heavier)} and {_counted(lighter)} are less "
            f"alike than images of one person are{caution}. The lighter part: {self._names(lighter)}"
        )

    def _names(self, part: Part) -> str:
        order = sorted(range(len(part.rows)), key=lambda place: -part.sureness[place])
        names = [
            in_one_line(self.name_of(part.rows[place]))
            + ("" if part.sureness[place] >= _SURE else " (unsure)")
            for place in order[:_NAMES_SHOWN]
        ]
        more = len(order) - len(names)
        return ", ".join([*names, *([f"and {more} more"] if more > 0 else [])])

    def facts(self) -> dict[str, Any]:
        """Everything as JSON takes it; the images by name."""
        is_known = self.score == self.score
        return {
            "verdict": self.verdict,
            "score": round(self.score, 3) if is_known else None,
            "threshold": self.threshold if is_known else None,
            "is_calibrated": self.is_calibrated,
            "reason": self.reason or None,
            "parts": [
                {
                    "weight": round(part.weight, 4),
                    "images": [
                        {"source": self.name_of(row), "sureness": round(sure, 4)}
                        for row, sure in zip(part.rows, part.sureness, strict=True)
                    ],
                }
                for part in self.parts
            ],
            "outliers": [self.name_of(row) for row in self.outliers],
            "not_screened": self.beside or None,
        }


def _counted(part: Part) -> str:
    count = "1 image" if len(part.rows) == 1 else f"{len(part.rows)} images"
    return f"{count} ({100 * part.weight:.0f} % of the weight)"
