"""What a decision at a rate rests on: what was measured of such pairs or searches, and what the model is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from probefusion.fusion.calibration import (
    LOOKS,
    CalibrationRecord,
    MeasuredRate,
    MeasuredSearches,
    Stratum,
    why_too_large,
    why_unsupported,
)
from probefusion.metrics.tails import is_supported, rate_per_comparison

__all__ = [
    "MOST_CORRECTED",
    "RateBasis",
    "asked_of_pairs",
    "asked_of_searches",
    "basis_of_pairs",
    "basis_of_searches",
]

MOST_CORRECTED = 4.0
"""By how much at most a rate is corrected by what it came to."""

_LARGER_RATE = 10.0
"""By how much a rate of comparisons may be larger than those measured. The model is one of a tail: at 0.1 it still came
to .6 to .9 of that, at 0.3 to half."""

_LARGER_SEARCH_RATE = 3.0
"""The same of searches: the correction is fitted up to 0.3."""

_ROUNDED = 1 + 1e-9
"""Three times 0.1 is no more than 0.3."""


@dataclass(frozen=True, kw_only=True)
class RateBasis:
    """What a decision rests on.

    Attributes:
        asked: The rate that the model is asked for: the one wanted, corrected by what it came to on people that
            were not fitted.
        measured: The rate wanted with its interval, or None.
        num_trials: Comparisons or searches it was measured with.
        num_people: People.
        why_none: Why it cannot be given.
        measured_size: Of searches, the size of the galleries.
        measured_with: Numbers of images of both sides, where there were too few pairs of the nearest ones.
    """

    asked: float
    measured: MeasuredRate | None = None
    num_trials: int = 0
    num_people: int = 0
    why_none: str = ""
    measured_size: int | None = None
    measured_with: tuple[int, int] | None = None


def asked_of_pairs(
    record: CalibrationRecord,
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    sizes: tuple[int, int],
    rate: float,
) -> npt.NDArray[np.float64]:
    """The rates (A, B) that the model is asked for, by the looks (whether poor) of sets of these sizes."""
    table = np.array(
        [[basis_of_pairs(record, (a, b), sizes, rate).asked for b in LOOKS] for a in LOOKS]
    )
    asked: npt.NDArray[np.float64] = table[first.astype(int)[:, None], second.astype(int)]
    return asked


def asked_of_searches(record: CalibrationRecord, size: int, rate: float) -> float:
    """The rate of one comparison that the model is asked for, for a rate of searches among so many."""
    return basis_of_searches(record, size, rate).asked


def basis_of_pairs(
    record: CalibrationRecord, looks: tuple[str, str], sizes: tuple[int, int], rate: float
) -> RateBasis:
    """What was measured of such pairs, at the nearest rate that was; or why there is nothing."""
    stratum = record.stratum(looks, sizes)
    if stratum is None:
        why = f"the calibration has no pairs of {looks[0]} and {looks[1]} sets of so many images"
        return RateBasis(asked=rate, why_none=why)
    if is_supported(rate, stratum.num_comparisons):
        near = stratum
    else:
        near = _nearest_supported(record, stratum, rate) or stratum
    basis = _checked(near.rates, rate, near.num_comparisons, near.num_people, "comparisons")
    return basis if near is stratum else replace(basis, measured_with=near.num_images)


def _nearest_supported(record: CalibrationRecord, like: Stratum, rate: float) -> Stratum | None:
    """Of pairs that look alike, those of the nearest sizes of which enough were compared for a rate."""
    wanted = np.log(like.num_images)
    return min(
        (
            other
            for other in record.strata
            if other.looks == like.looks and is_supported(rate, other.num_comparisons)
        ),
        key=lambda other: float(np.abs(np.log(other.num_images) - wanted).sum()),
        default=None,
    )


def basis_of_searches(record: CalibrationRecord, size: int, rate: float) -> RateBasis:
    """What was measured of searches in the nearest size of gallery; asked for is the rate of one comparison."""
    plain = rate_per_comparison(rate, size)
    sizes = record.gallery_sizes
    if sizes is None:
        why = "the calibration has too few people to measure searches with"
        return RateBasis(asked=plain, why_none=why)
    if not sizes[0] <= size <= sizes[1]:
        why = (
            f"the gallery has {size:,} people; the calibration supports {sizes[0]:,} to {sizes[1]:,}, measured among "
            f"{record.searches[0].gallery_size:,} to {record.searches[-1].gallery_size:,}"
        )
        return RateBasis(asked=plain, why_none=why)
    largest = max((each.stated for found in record.searches for each in found.rates), default=0.0)
    if rate > _LARGER_SEARCH_RATE * largest * _ROUNDED:
        why = why_too_large(rate, _LARGER_SEARCH_RATE * largest, "searches")
        return RateBasis(asked=plain, why_none=why)
    nearest = min(
        (each for each in record.searches if _has_rate(each, rate)),
        key=lambda each: abs(np.log(each.gallery_size / size)),
        default=record.searches[0],
    )
    trials, people = nearest.num_searches, nearest.num_people
    basis = _checked(nearest.rates, rate, trials, people, "searches")
    if record.search_correction is None:
        return replace(
            basis,
            asked=rate_per_comparison(basis.asked, size),
            measured_size=nearest.gallery_size,
        )
    return replace(
        basis,
        asked=record.search_correction.asked(rate, size),
        measured=_as_measured(nearest.rates, rate) if basis.measured is not None else None,
        measured_size=nearest.gallery_size,
    )


def _has_rate(searches: MeasuredSearches, rate: float) -> bool:
    return bool(searches.rates) and is_supported(rate, searches.num_searches)


def _as_measured(rates: Sequence[MeasuredRate], rate: float) -> MeasuredRate:
    """A rate with the interval of the nearest that was measured, in proportion."""
    nearest = min(rates, key=lambda each: abs(np.log(each.stated / rate)))
    share = rate / nearest.stated
    return MeasuredRate(
        stated=rate,
        achieved=min(1.0, nearest.achieved * share),
        low=nearest.low * share,
        high=min(1.0, nearest.high * share),
    )


def _checked(
    rates: Sequence[MeasuredRate], rate: float, trials: int, people: int, what: str
) -> RateBasis:
    if not rates or not is_supported(rate, trials):
        return RateBasis(asked=rate, why_none=why_unsupported(rate, trials, what, people))
    largest = max(each.stated for each in rates)
    if rate > _LARGER_RATE * largest * _ROUNDED:
        why = why_too_large(rate, _LARGER_RATE * largest, what)
        return RateBasis(asked=rate, why_none=why)
    nearest = min(rates, key=lambda each: abs(np.log(each.stated / rate)))
    achieved = max(nearest.achieved, nearest.stated / MOST_CORRECTED)
    share = rate / achieved
    return RateBasis(
        asked=min(0.5, rate * min(MOST_CORRECTED, nearest.stated / achieved)),
        measured=MeasuredRate(
            stated=rate,
            achieved=nearest.achieved * share,
            low=nearest.low * share,
            high=min(1.0, nearest.high * share),
            elsewhere=_elsewhere(nearest, rate, share),
        ),
        num_trials=trials,
        num_people=people,
    )


def _elsewhere(nearest: MeasuredRate, rate: float, share: float) -> float | None:
    """Of people unlike those measured; no lower than of those."""
    if nearest.elsewhere is None:
        return None
    return min(1.0, max(nearest.elsewhere * rate / nearest.stated, nearest.high * share))
