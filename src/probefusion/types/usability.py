"""`Usability`: what can be expected of a template. It is estimated in `probefusion.screening.usability`.

In files it is five numbers, `NUMBERS`, from which verdict and reason follow; all are NaN where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from probefusion.errors import DtypeError, InvalidInputError, NotUsableError, ShapeError

__all__ = ["NUMBERS", "Usability", "Verdict", "checked_numbers", "not_usable_rows"]

Verdict = Literal["usable", "doubtful", "not usable", "not known"]

NUMBERS = ("similarity", "low", "high", "level", "false_match_rate")
"""What an estimate is kept as, in order: see `Usability`; `low` and `high` are NaN for what is no face."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Usability:
    """What can be expected of a template.

    Args:
        similarity: Predicted cosine with one clean image of the person, fused alone; None where nothing is known.
        interval: Lower and upper end for 90 of 100 sets; None where nothing is known, and for what is no face.
        level: The similarity below which a comparison would fail at `false_match_rate`.
        verdict: "usable" if the prediction reaches the level, "doubtful" if only the upper end of the interval
            does, "not usable" if not even that, or if the images are no faces; "not known".
        reason: Why, in words; "" where the template is usable.
        false_match_rate: At which the level was measured, a fraction; None where nobody said it.

    Attributes:
        quality: The prediction on the scale of 0 to 100; 0 for what is no face, None where nothing is known.

    Raises:
        NotUsableError: By `refuse`, if the template is not usable.
    """

    similarity: float | None
    interval: tuple[float, float] | None
    level: float | None
    verdict: Verdict
    reason: str = ""
    false_match_rate: float | None = None
    quality: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.similarity is not None:
            of_faces = round(100 * min(1.0, max(0.0, self.similarity)))
            object.__setattr__(self, "quality", 0 if self.interval is None else of_faces)

    @staticmethod
    def unknown(reason: str) -> Usability:
        """Nothing is known, because of what `reason` says."""
        return Usability(
            similarity=None, interval=None, level=None, verdict="not known", reason=reason
        )

    @staticmethod
    def predicted(
        similarity: float,
        interval: tuple[float, float] | None,
        *,
        level: float,
        false_match_rate: float | None,
    ) -> Usability:
        """What follows from a prediction; arguments as for the class, no interval for what is no face."""
        verdict: Verdict = "usable"
        reason = ""
        rate = "" if false_match_rate is None else f" at false match rate {false_match_rate:g}"
        threshold = f"threshold {level:.4f}{rate} (where usability was measured)"
        if interval is None:
            verdict, reason = "not usable", "the images do not look like faces to the embedder"
        elif interval[1] < level:
            verdict, reason = "not usable", f"even the upper end is below the {threshold}"
        elif similarity < level:
            verdict, reason = "doubtful", f"the prediction is below the {threshold}"
        return Usability(
            similarity=similarity,
            interval=interval,
            level=level,
            verdict=verdict,
            reason=reason,
            false_match_rate=false_match_rate,
        )

    @staticmethod
    def of_numbers(numbers: Sequence[float] | _Floats) -> Usability | None:
        """What `numbers` gave; None where nothing was known."""
        similarity, low, high, level, rate = map(float, numbers)
        if math.isnan(similarity):
            return None
        return Usability.predicted(
            similarity,
            None if math.isnan(low) else (low, high),
            level=level,
            false_match_rate=None if math.isnan(rate) else rate,
        )

    @property
    def numbers(self) -> _Floats:
        """(5,) `NUMBERS`, from which `of_numbers` makes it again; NaN where nothing is known."""
        if self.similarity is None or self.level is None:
            return np.full(len(NUMBERS), np.nan)
        low, high = self.interval or (math.nan, math.nan)
        rate = math.nan if self.false_match_rate is None else self.false_match_rate
        return np.array([self.similarity, low, high, self.level, rate])

    @property
    def is_not_usable(self) -> bool:
        """Whether the template must not be relied on."""
        return self.verdict == "not usable"

    def refuse(self, name: str = "images") -> None:
        """Refuses a template that is not usable; for callers that want no such template at all.

        Args:
            name: Whose images they are, for the message.

        Raises:
            NotUsableError: If the verdict is "not usable".
        """
        if self.is_not_usable:
            raise NotUsableError(
                f"{name}: their template is not usable: {self.reason}. Give better images of the person."
            )

    def __str__(self) -> str:
        """The verdict with its numbers, in a line."""
        if self.similarity is None:
            return f"usability not known: {self.reason}"
        if self.interval is None:
            return f"not usable: {self.reason}"
        low, high = self.interval
        numbers = (
            f"predicted similarity to a clean image {self.similarity:.2f} ({low:.2f} to {high:.2f})"
        )
        return f"{self.verdict}: {numbers}" + (f"; {self.reason}" if self.reason else "")


def checked_numbers(given: Any, num_templates: int, where: str = "") -> _Floats:
    """The `NUMBERS` of T templates as (T, 5) float64, read only.

    Args:
        given: What stands in a file, or was handed over.
        num_templates: T.
        where: For messages.

    Raises:
        DtypeError, ShapeError: If they are no numbers, or not five per template.
        InvalidInputError: If they cannot be an estimate; the message names the row.
    """
    found = np.asarray(given)
    if found.dtype.kind != "f":
        raise DtypeError(
            f"usability{where}: expected floating-point numbers, got {found.dtype}. Leave the column out."
        )
    if found.shape != (num_templates, len(NUMBERS)):
        raise ShapeError(
            f"usability{where}: expected {len(NUMBERS)} numbers for each of {num_templates} templates "
            f"({', '.join(NUMBERS)}), got shape {found.shape}."
        )
    numbers = found.astype(np.float64)
    similarity, low, high, level, rate = numbers.T
    is_known, is_face = ~np.isnan(similarity), ~np.isnan(low)
    is_right = np.isnan(numbers).all(axis=1) | (
        is_known
        & (np.abs(similarity) <= 1)
        & np.isfinite(level)
        & (np.isnan(rate) | ((rate > 0) & (rate < 1)))
        & np.where(is_face, (low <= similarity) & (similarity <= high), np.isnan(high))
        & (~is_face | ((low >= -1) & (high <= 1)))
    )
    if not is_right.all():
        row = int(np.argmin(is_right))
        raise InvalidInputError(
            f"usability of row {row}{where}: expected -1 <= low <= similarity <= high <= 1, a level and a rate "
            f"between 0 and 1, or NaN alone, got {numbers[row].tolist()}. Leave the column out, or fuse anew."
        )
    numbers.flags.writeable = False
    return numbers


def not_usable_rows(numbers: _Floats) -> npt.NDArray[np.bool_]:
    """(T,) of which templates, of (T, 5) `NUMBERS`, the verdict is "not usable"."""
    similarity, low, high, level, _ = numbers.T
    is_not: npt.NDArray[np.bool_] = ~np.isnan(similarity) & (np.isnan(low) | (high < level))
    return is_not
