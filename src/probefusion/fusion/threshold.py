"""A calibrated decision threshold, and which of several holds for a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from probefusion.errors import ConfigError

__all__ = ["Threshold", "find_threshold"]

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

    def __post_init__(self) -> None:
        if not 0 < self.false_match_rate < 1:
            raise ConfigError(
                f"threshold false_match_rate: expected a fraction, got {self.false_match_rate}."
            )
        if self.num_images < 1:
            raise ConfigError(
                f"threshold num_images: expected at least 1, got {self.num_images!r}."
            )


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
        ConfigError: If the rate is no fraction.
    """
    if not 0 < false_match_rate < 1:
        raise ConfigError(
            f"false_match_rate: expected a fraction between 0 and 1, got {false_match_rate}."
        )
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
