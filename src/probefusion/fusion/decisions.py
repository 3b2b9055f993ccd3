"""Which similarity decides about two templates, at what rate, how sure, and why there may be none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.files import bundled_folder
from probefusion.fusion.calibration import (
    CALIBRATION_NAME,
    LOOKS,
    CalibrationRecord,
    MeasuredRate,
    MeasuredSearches,
    Stratum,
    read_calibration,
    why_unsupported,
)
from probefusion.fusion.threshold import Threshold
from probefusion.metrics.tails import is_supported, rate_per_comparison

if TYPE_CHECKING:
    from probefusion.fusion import Fuser
    from probefusion.types import FloatArray

__all__ = [
    "NOT_COVERED",
    "Calibrated",
    "Decision",
    "MeasuredThreshold",
    "Side",
    "asked_of_pairs",
    "asked_of_searches",
    "decide",
    "find_calibration",
]

Calibrated: TypeAlias = str | os.PathLike[str] | CalibrationRecord | None
"""A calibration file, its content, or None for that of the fuser."""

NOT_COVERED = (
    "people filmed by one camera, in one place or on one day, relatives, faces poorer than those measured, and "
    "people unlike them"
)
"""What no stated rate covers: among these, false matches are more frequent."""

_MOST_CORRECTED = 4.0
"""By how much at most a rate is corrected by what it came to."""

_MARGIN = 0.02
"""How far outside what was seen a cosine may lie before it is told."""


@dataclass(frozen=True, kw_only=True)
class MeasuredThreshold(Threshold):
    """A threshold for two given templates, with what its rate came to on people that were not fitted.

    Args:
        low: Lower end of the 95 % interval over people of the rate that was reached.
        high: Upper end.
        num_people: People among whom that was measured.
        looks: What the two templates look like: "clear" or "poor".
        gallery_size: Size of the gallery if the rate is that of a search (FPIR), or None.
        measured_size: Size of the galleries that was measured with, the nearest that was, or None.
    """

    low: float
    high: float
    num_people: int
    looks: tuple[str, str]
    gallery_size: int | None = None
    measured_size: int | None = None

    @property
    def rate_in_words(self) -> str:
        """That of comparisons, or of whole searches."""
        if self.gallery_size is None:
            return super().rate_in_words
        return f"false positive rate {self.false_match_rate:g} of searches"

    @property
    def measured_on(self) -> str:
        """In plain words."""
        where = "" if self.measured_size is None else f" in galleries of {self.measured_size:,}"
        what = "comparisons" if self.gallery_size is None else "searches"
        return (
            f"measured{where}: {self.low:.2g} to {self.high:.2g}, {self.num_non_mated:,} {what} of "
            f"{self.num_people:,} people not fitted"
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A threshold, or why there is none.

    Args:
        threshold: The threshold, or None.
        why_none: Why there is none, or None.
        warnings: Where the two lie outside what the calibration saw.
    """

    threshold: MeasuredThreshold | None = None
    why_none: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """Templates of one side of comparisons.

    Args:
        name: What to call them in a warning.
        vectors: (T, D).
        num_images: (T,).
    """

    name: str
    vectors: FloatArray
    num_images: npt.NDArray[np.int64]


def find_calibration(
    given: Calibrated,
    fuser: Fuser | None,
    made_by: str | None,
    embedder: str | None,
) -> CalibrationRecord | None:
    """The calibration that was given, or that of the fuser: in its folder, or in the package.

    Args:
        given: A file or record that the user names, or None.
        fuser: The fuser, if it is here.
        made_by: Fingerprint of the fuser of the templates.
        embedder: That of their embedder.

    Raises:
        FuserMismatchError, EmbedderMismatchError: If the one that was given is of others.
        MissingFileError, FileFormatError, IntegrityError: If a file cannot be read.
    """
    if given is not None:
        record = (
            given if isinstance(given, CalibrationRecord) else read_calibration(os.fspath(given))
        )
        where = "calibration" if isinstance(given, CalibrationRecord) else os.fspath(given)
        record.check_made_for(made_by, embedder, where=where)
        return record
    if made_by is None:
        return None
    path = _own_file(fuser, made_by, embedder)
    if path is None or not path.is_file():
        return None
    record = read_calibration(path)
    is_its = record.fuser == made_by and embedder in (record.embedder, None)
    return record if is_its else None


def decide(
    record: CalibrationRecord,
    first: Side,
    second: Side,
    *,
    false_match_rate: float,
    false_positive_rate: float | None = None,
    gallery_size: int | None = None,
) -> list[Decision]:
    """Decisions about pairs: row i of one side with row i of the other.

    Args:
        record: The calibration, made for these templates.
        first: One side.
        second: The other, as many.
        false_match_rate: Rate wanted.
        false_positive_rate: Rate wanted of the whole search for one person among all of `second`; then
            `false_match_rate` has no part.
        gallery_size: Among how many people the search was, if `second` holds its first candidates only.
    """
    model = record.model.model()
    sides = (first, second)
    terms = [model.terms(side.vectors, side.num_images) for side in sides]
    size = len(second.num_images) if gallery_size is None else gallery_size
    looks = [
        [LOOKS[int(poor)] for poor in record.poor_looks(side.vectors).tolist()] for side in sides
    ]
    pairs = list(zip(*looks, strict=True))
    if false_positive_rate is None:
        nearest = zip(
            *(record.nearest_sizes(side.num_images).tolist() for side in sides), strict=True
        )
        bases = [
            _of_pairs(record, pair, numbers, false_match_rate)
            for pair, numbers in zip(pairs, nearest, strict=True)
        ]
        asked = np.array([basis.asked for basis in bases])
    else:
        bases = [_of_searches(record, size, false_positive_rate)] * len(second.num_images)
        asked = np.full(len(bases), bases[0].asked)
    limits = model.thresholds(terms[0], terms[1], [asked], paired=True)[0]
    notes = [_outside(record, side, model.lowest, model.highest) for side in sides]
    found = []
    for place, (similarity, basis) in enumerate(zip(limits.tolist(), bases, strict=True)):
        warnings = (*notes[0][place], *notes[1][place])
        if basis.measured is None:
            found.append(Decision(why_none=basis.why_none, warnings=warnings))
            continue
        if basis.measured_with is not None:
            one, other = basis.measured_with
            warnings += (
                f"too few pairs of sets of so many images were compared for this rate: it was measured with sets of "
                f"{one} and {other}",
            )
        threshold = MeasuredThreshold(
            false_match_rate=basis.measured.stated,
            similarity=similarity,
            num_images=max(int(side.num_images[place]) for side in sides),
            num_non_mated=basis.num_trials,
            source=f"{record.sets}, {record.num_people} people",
            low=basis.measured.low,
            high=basis.measured.high,
            num_people=basis.num_people,
            looks=pairs[place],
            gallery_size=None if false_positive_rate is None else size,
            measured_size=basis.measured_size,
        )
        found.append(Decision(threshold=threshold, warnings=warnings))
    return found


@dataclass(frozen=True, kw_only=True)
class _Basis:
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


def _own_file(fuser: Fuser | None, made_by: str, embedder: str | None) -> Path | None:
    folder = getattr(fuser, "folder", None)
    if isinstance(folder, Path) and fuser is not None and fuser.fingerprint == made_by:
        return folder / CALIBRATION_NAME
    if embedder is None:
        return None
    name = f"{made_by}.{embedder}".replace("@", "-")
    return bundled_folder() / "calibrations" / f"{name}.json"


def asked_of_pairs(
    record: CalibrationRecord,
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    sizes: tuple[int, int],
    rate: float,
) -> npt.NDArray[np.float64]:
    """The rates (A, B) that the model is asked for, by the looks (whether poor) of sets of these sizes."""
    table = np.array([[_of_pairs(record, (a, b), sizes, rate).asked for b in LOOKS] for a in LOOKS])
    asked: npt.NDArray[np.float64] = table[first.astype(int)[:, None], second.astype(int)]
    return asked


def asked_of_searches(record: CalibrationRecord, size: int, rate: float) -> float:
    """The rate of one comparison that the model is asked for, for a rate of searches among so many."""
    return _of_searches(record, size, rate).asked


def _of_pairs(
    record: CalibrationRecord, looks: tuple[str, str], sizes: tuple[int, int], rate: float
) -> _Basis:
    """What was measured of such pairs, at the nearest rate that was; or why there is nothing."""
    stratum = record.stratum(looks, sizes)
    if stratum is None:
        why = f"the calibration has no pairs of {looks[0]} and {looks[1]} sets of so many images"
        return _Basis(asked=rate, why_none=why)
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


def _of_searches(record: CalibrationRecord, size: int, rate: float) -> _Basis:
    """What was measured of searches in the nearest size of gallery; asked for is the rate of one comparison."""
    plain = rate_per_comparison(rate, size)
    sizes = record.gallery_sizes
    if sizes is None:
        why = "the calibration has too few people to measure searches with"
        return _Basis(asked=plain, why_none=why)
    if not sizes[0] <= size <= sizes[1]:
        why = (
            f"the gallery has {size:,} people; the calibration supports {sizes[0]:,} to {sizes[1]:,}, measured among "
            f"{record.searches[0].gallery_size:,} to {record.searches[-1].gallery_size:,}"
        )
        return _Basis(asked=plain, why_none=why)
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
) -> _Basis:
    if not rates or not is_supported(rate, trials):
        return _Basis(asked=rate, why_none=why_unsupported(rate, trials, what, people))
    nearest = min(rates, key=lambda each: abs(np.log(each.stated / rate)))
    achieved = max(nearest.achieved, nearest.stated / _MOST_CORRECTED)
    share = rate / achieved
    return _Basis(
        asked=min(0.5, rate * min(_MOST_CORRECTED, nearest.stated / achieved)),
        measured=MeasuredRate(
            stated=rate,
            achieved=nearest.achieved * share,
            low=nearest.low * share,
            high=min(1.0, nearest.high * share),
        ),
        num_trials=trials,
        num_people=people,
    )


def _outside(
    record: CalibrationRecord,
    side: Side,
    lowest: npt.NDArray[np.float64],
    highest: npt.NDArray[np.float64],
) -> list[tuple[str, ...]]:
    """Of each template, where it lies outside what the calibration saw."""
    cosines = side.vectors.astype(np.float64) @ np.asarray(record.model.directions).T
    is_strange = ((cosines < lowest - _MARGIN) | (cosines > highest + _MARGIN)).any(axis=1)
    found = []
    for count, strange in zip(side.num_images.tolist(), is_strange.tolist(), strict=True):
        notes = []
        if count > 2 * record.sizes[-1]:
            notes.append(
                f"{side.name}: of {count:,} images, the calibration saw at most {record.sizes[-1]}"
            )
        if strange:
            notes.append(
                f"{side.name}: in quality or kind of face unlike every template of the calibration"
            )
        found.append(tuple(notes))
    return found
