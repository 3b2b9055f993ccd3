"""A calibrated decision threshold, and which of several holds for a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real

from probefusion.errors import ConfigError, DtypeError

__all__ = [
    "Threshold",
    "check_rate",
    "check_wanted",
    "find_threshold",
    "level_in_words",
    "rate_in_words",
]

_RATE_TOLERANCE = 0.01
"""How far, as a share of it, a calibrated rate may be from the one asked for."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A similarity from which on two templates are accepted as one person.

    Args:
        false_match_rate: Share of non-mated comparisons accepted, measured where `source` says.
        similarity: Accept when the cosine is at least this.
        num_images: Images in the probe when it was measured.
        num_non_mated: Non-mated comparisons it was measured on.
        source: The people and protocol it was measured with.

    Raises:
        ConfigError: If a value is out of its range.
    """

    false_match_rate: float
    similarity: float
    num_images: int
    num_non_mated: int
    source: str

    @property
    def measured_on(self) -> str:
        """What it was measured on in plain words; `source` where it is of none of our own protocols."""
        if not self.source.startswith("degraded-folder/"):
            return self.source
        people = re.search(r", (\d+) people", self.source)
        whom = f"{people[1]} people" if people else "people not trained on"
        return f"measured on artificially degraded faces of {whom}"

    @property
    def rate_in_words(self) -> str:
        """The rate that it stands for, as every message calls it."""
        return rate_in_words(self.false_match_rate)

    def __str__(self) -> str:
        """The similarity, its rate and what that was measured on."""
        return level_in_words(self.similarity, self.rate_in_words, self.measured_on)

    def __post_init__(self) -> None:
        if not 0 < self.false_match_rate < 1:
            raise ConfigError(
                f"threshold false_match_rate: expected a fraction, got {self.false_match_rate}."
            )
        if self.num_images < 1:
            raise ConfigError(
                f"threshold num_images: expected at least 1, got {self.num_images!r}."
            )


def rate_in_words(false_match_rate: float) -> str:
    """A rate of comparisons, as every message calls it."""
    return f"false match rate {false_match_rate:g}"


def level_in_words(similarity: float, rate: str, measured_on: str) -> str:
    """A similarity from which on two templates are accepted, as every message states it.

    Args:
        similarity: The similarity.
        rate: As `rate_in_words` gives it.
        measured_on: Where the rate was measured.
    """
    return f"threshold {similarity:.4f} at {rate} ({measured_on})"


def find_threshold(
    thresholds: Iterable[Threshold], false_match_rate: float, num_images: int
) -> Threshold | None:
    """The threshold calibrated at a rate for the largest set size not above `num_images`.

    Args:
        thresholds: All that were calibrated.
        false_match_rate: The rate wanted, a fraction; met within 1 %.
        num_images: Images in the larger of the two sets that are compared.

    Returns:
        The threshold; for fewer images than any size measured, the one of the smallest size. None if
        there is none at this rate.

    Raises:
        ConfigError, DtypeError: As for `check_wanted`.
    """
    check_wanted(false_match_rate, num_images)
    fitting = sorted(
        (
            threshold
            for threshold in thresholds
            if abs(threshold.false_match_rate / false_match_rate - 1) < _RATE_TOLERANCE
        ),
        key=lambda threshold: threshold.num_images,
    )
    not_above = [threshold for threshold in fitting if threshold.num_images <= num_images]
    return not_above[-1] if not_above else (fitting[0] if fitting else None)


def check_wanted(false_match_rate: object, num_images: object) -> None:
    """Refuses what no threshold can be asked for with.

    Raises:
        DtypeError: If the rate is no number, or the number of images no whole one.
        ConfigError: If the rate is not between 0 and 1, or there is no image.
    """
    check_rate(false_match_rate)
    if isinstance(num_images, bool) or not isinstance(num_images, Integral):
        raise DtypeError(
            f"num_images: expected a whole number of images, got {type(num_images).__name__} {num_images!r}. "
            f"Give that of the larger of the two sets."
        )
    if num_images < 1:
        raise ConfigError(f"num_images: expected at least 1 image, got {num_images}.")


def check_rate(rate: object, *, name: str = "false_match_rate") -> None:
    """Refuses what is no rate of false matches.

    Args:
        rate: A fraction.
        name: The argument's name, for the message.

    Raises:
        DtypeError: If it is no number.
        ConfigError: If it is not between 0 and 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise DtypeError(
            f"{name}: expected a fraction between 0 and 1, got {type(rate).__name__} {rate!r}. Give a number, "
            f"as 0.001."
        )
    if not 0 < float(rate) < 1:
        raise ConfigError(f"{name}: expected a fraction between 0 and 1, got {rate}.")
