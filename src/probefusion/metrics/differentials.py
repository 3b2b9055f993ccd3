"""Differential performance: error rates by group or condition at a common threshold, and how far apart they lie.

Words as in ISO/IEC 19795-10. One threshold, that of all comparisons, stands for everybody, as in a system
that is in use. The false non-match rate is told by the value of the probe. Non-mated comparisons are told
apart: within a group both sides have the same value, across groups they have different ones; the false match
rate within a group is the one that says whom a system mistakes for others like them.

Intervals: people are drawn with replacement, as in `probefusion.metrics.intervals`, once for all values; the
threshold is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.metrics.scores import ComparisonScores
from probefusion.metrics.verification import TarAtFar

__all__ = [
    "LEAST_PEOPLE",
    "Differential",
    "DifferentialErrors",
    "ErrorRate",
    "GroupedComparisons",
    "ValueErrors",
]

LEAST_PEOPLE = 30
"""Values of fewer people than these are marked, and no largest difference is taken from them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedComparisons:
    """Scores with the value of an attribute on both sides.

    Args:
        scores: Mated and non-mated similarities with their probe people.
        values: V different texts, the values of the attribute.
        mated_values: (n,) integers: position in `values` of each mated comparison's probe, or a negative number
            where it has none.
        probe_values: (m,) integers: the same of each non-mated comparison's probe.
        reference_values: (m,) integers: the same of its reference.

    Raises:
        InvalidInputError: If a value comes twice or a position is out of range.
        ShapeError: If an array is not as long as its scores.
    """

    scores: ComparisonScores
    values: tuple[str, ...]
    mated_values: npt.NDArray[np.integer]
    probe_values: npt.NDArray[np.integer]
    reference_values: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise InvalidInputError(f"values: expected each once, got {self.values}.")
        lengths = {
            "mated_values": len(self.scores.mated),
            "probe_values": len(self.scores.non_mated),
            "reference_values": len(self.scores.non_mated),
        }
        for name, length in lengths.items():
            array = np.asarray(getattr(self, name))
            if array.shape != (length,):
                raise ShapeError(f"{name}: expected ({length},), got {array.shape}.")
            if length and array.max() >= len(self.values):
                raise InvalidInputError(
                    f"{name}: expected positions below {len(self.values)}, got {array.max()}."
                )


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """A share of comparisons that went wrong.

    Args:
        rate: The share; NaN without comparisons.
        low: Lower end of its 95 % interval over people; NaN with fewer than 2 people.
        high: Upper end.
        num_errors: Comparisons that went wrong.
        num_comparisons: All of them.
        num_people: Probe people with such comparisons.
    """

    rate: float
    low: float
    high: float
    num_errors: int
    num_comparisons: int
    num_people: int


@dataclass(frozen=True, kw_only=True)
class ValueErrors:
    """The errors of one value of an attribute.

    Args:
        value: The value; "" for the comparisons whose probe has none.
        fnmr: False non-match rate of its probes.
        fmr_within: False match rate of its probes against references of the same value.
        fmr_across: The same against references of other values.
        num_reference_unknown: Non-mated comparisons of its probes with references of no known value,
            neither within nor across.
        is_few: Whether fewer people than `LEAST_PEOPLE` have mated comparisons of it.
    """

    value: str
    fnmr: ErrorRate
    fmr_within: ErrorRate
    fmr_across: ErrorRate
    num_reference_unknown: int
    is_few: bool

    @property
    def tar(self) -> float:
        """True accept rate, 1 - FNMR."""
        return 1 - self.fnmr.rate


@dataclass(frozen=True, kw_only=True)
class Differential:
    """The two values that lie furthest apart.

    Args:
        highest: The value with the highest rate.
        lowest: The one with the lowest.
        difference: The one rate minus the other.
        low: Lower end of the 95 % interval of the difference of these two over people. It does not take into
            account that they were chosen as the furthest apart.
        high: Upper end.
        ratio: The one rate divided by the other; None where the lowest is 0.
    """

    highest: ValueErrors
    lowest: ValueErrors
    difference: float
    low: float
    high: float
    ratio: float | None


@dataclass(frozen=True, kw_only=True)
class DifferentialErrors:
    """Errors by value at the threshold of one false accept rate.

    Args:
        overall: All comparisons together, those without a value too, and the common threshold.
        values: One for each value, in the order given; () where the rate is not resolved.
        unknown: The comparisons whose probe has no value; None without such, or where the rate is not resolved.
        false_negative: The furthest apart in FNMR; None with fewer than two values of enough people.
        false_positive: The same in FMR within the group.
    """

    overall: TarAtFar
    values: tuple[ValueErrors, ...]
    unknown: ValueErrors | None
    false_negative: Differential | None
    false_positive: Differential | None
