"""A calibration: which similarity decides, for any two templates of one fuser and embedder.

Its file is written and read by `probefusion.fusion.calibration_files`. It holds the model of similarities of different
people (`probefusion.fusion.non_mated`) and what was measured with it on people that were not fitted: the rates that
were reached, by number of images and look of both sides, and of searches in galleries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, EmbedderMismatchError, FuserMismatchError
from probefusion.fusion.non_mated import Floats, NonMatedModel
from probefusion.metrics.tails import MIN_EXPECTED_ERRORS, rate_per_comparison
from probefusion.types.revisions import name_to_load, remedy

__all__ = [
    "CALIBRATION_NAME",
    "LOOKS",
    "CalibrationRecord",
    "CalibrationSource",
    "MeasuredRate",
    "MeasuredSearches",
    "ModelRecord",
    "SearchCorrection",
    "Stratum",
]

CALIBRATION_NAME = "calibration.json"
"""Name of the file in a fuser folder."""

FORMAT_VERSION = 3
"""Newest version of the file."""

LOOKS = ("clear", "poor")
"""What a template may look like: more like those of clean sets, or more like those of degraded ones."""

_DIGITS = 7

_LONGEST_COUNT = 1e15
"""More is written with a power of ten."""

_SMALLER_GALLERY, _LARGER_GALLERY = 10, 4
"""By how much smaller and larger than those measured a gallery may be to which a rate is carried over."""


@dataclass(frozen=True, kw_only=True)
class CalibrationSource:
    """People that a calibration was made with.

    Args:
        name: What they are, in words.
        num_people: How many.
        num_sets: Sets of images of them.
    """

    name: str
    num_people: int
    num_sets: int


@dataclass(frozen=True, kw_only=True)
class MeasuredRate:
    """What a stated rate came to among people that were not fitted.

    Args:
        stated: The rate that was asked for.
        achieved: The rate of all that were compared.
        low: Lower end: the lowest of the 95 % intervals over people, of all and of each population and kind of set.
        high: Upper end, likewise.
        elsewhere: Below this the rate lies, once corrected, in 95 % of populations that were not measured, by how
            much it differed when each that was measured was left out; None where fewer than three were measured, of
            searches, and in files of versions before 3.
    """

    stated: float
    achieved: float
    low: float
    high: float
    elsewhere: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """What was measured of pairs of one look and number of images a side.

    Args:
        looks: Of both sides, of `LOOKS`, in alphabetical order of (look, number).
        num_images: Number of images of both sides, as calibrated.
        num_people: People that were compared.
        num_comparisons: Comparisons of different people.
        rates: What was reached, by stated rate.
    """

    looks: tuple[str, str]
    num_images: tuple[int, int]
    num_people: int
    num_comparisons: int
    rates: tuple[MeasuredRate, ...]


@dataclass(frozen=True, kw_only=True)
class SearchCorrection:
    """At which rate of one comparison a search errs as stated, by what was measured of searches.

    Args:
        offset: What is added to the logarithm of the rate that independent comparisons would need.
        slope: By how much more for each unit by which that logarithm lies above that of 0.0001.
    """

    offset: float
    slope: float

    def asked(self, rate: float, gallery_size: int) -> float:
        """The rate of one comparison for a rate of searches among so many people."""
        log_rate = float(np.log(rate_per_comparison(rate, gallery_size)))
        change = self.offset + self.slope * (log_rate - MIDDLE_LOG_RATE)
        return float(min(0.5, np.exp(log_rate + change)))


MIDDLE_LOG_RATE = float(np.log(1e-4))
"""Where the slope of a `SearchCorrection` has no part."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSearches:
    """What a stated rate of searches came to, with the correction of those that were not searched for here.

    Args:
        gallery_size: People in the gallery, none of them searched for.
        num_searches: Searches.
        num_people: Different people searched for.
        rates: Shares of searches with any candidate, by stated rate.
    """

    gallery_size: int
    num_searches: int
    num_people: int
    rates: tuple[MeasuredRate, ...]


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """`NonMatedModel` as JSON holds it, and the border between looks.

    Args:
        directions: k mean templates of D numbers.
        are_poor: Whether each is that of degraded sets.
        border: From where on a template looks poor: mean cosine to those that are, less that to the rest.
        lowest: As in the model, like all that follows.
        highest: The same.
        most_images: The same.
        location: The same.
        log_variance: The same.
        level: The same.
        log_rate: The same.
        log_excess: The same.
        shape: The same.
    """

    directions: tuple[tuple[float, ...], ...]
    are_poor: tuple[bool, ...]
    border: float
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    most_images: int
    location: tuple[tuple[float, ...], ...]
    log_variance: tuple[tuple[float, ...], ...]
    level: float
    log_rate: tuple[float, ...]
    log_excess: tuple[float, ...]
    shape: float

    @staticmethod
    def of(model: NonMatedModel, are_poor: npt.NDArray[np.bool_], border: float) -> ModelRecord:
        """The record of a model."""
        plain: dict[str, Any] = {
            name: _plain(getattr(model, name)) for name in model.__dataclass_fields__
        }
        return ModelRecord(
            are_poor=tuple(bool(each) for each in are_poor), border=round(border, _DIGITS), **plain
        )

    def model(self) -> NonMatedModel:
        """The model of the record.

        Raises:
            ConfigError: If sizes do not fit.
        """
        try:
            fields: dict[str, Any] = {
                name: np.asarray(value, dtype=np.float64) if isinstance(value, tuple) else value
                for name, value in ((name, getattr(self, name)) for name in _MODEL_FIELDS)
            }
        except ValueError as error:
            raise ConfigError(f"model: expected rows of one length each ({error}).") from error
        return NonMatedModel(**fields)


_MODEL_FIELDS = tuple(NonMatedModel.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """All that a calibration file says.

    Args:
        embedder: Fingerprint of the embedder; templates of another are refused.
        fuser: Fingerprint of the fuser; likewise.
        sets: Definition of the sets that it was made with.
        sizes: Numbers of images in them, ascending.
        sources: The people.
        model: The model.
        strata: What was measured of comparisons.
        searches: What was measured of searches.
        search_correction: What was found there, or None where too few people were measured, and in files of
            version 1: there the rates are those without a correction, which is made by what they came to.
        format_version: Of the file.
    """

    embedder: str
    fuser: str
    sets: str
    sizes: tuple[int, ...]
    sources: tuple[CalibrationSource, ...]
    model: ModelRecord
    strata: tuple[Stratum, ...]
    searches: tuple[MeasuredSearches, ...]
    search_correction: SearchCorrection | None = None
    format_version: int = FORMAT_VERSION

    @property
    def num_people(self) -> int:
        """People it was made with."""
        return sum(source.num_people for source in self.sources)

    @property
    def gallery_sizes(self) -> tuple[int, int] | None:
        """The smallest and the largest gallery for which a rate of searches is given; None if for none."""
        sizes = [each.gallery_size for each in self.searches if each.rates]
        if not sizes:
            return None
        return max(1, min(sizes) // _SMALLER_GALLERY), _LARGER_GALLERY * max(sizes)

    def check_made_for(self, fuser: str | None, embedder: str | None, *, where: str) -> None:
        """Refuses templates of another fuser or embedder.

        Raises:
            FuserMismatchError, EmbedderMismatchError: If they are.
        """
        if fuser != self.fuser:
            raise FuserMismatchError(
                f"{where}: made for templates of {self.fuser}, got those of {fuser or 'a fuser not named'}. "
                f"Fuse with that one, or calibrate: probefusion calibrate FUSER --data DIR -o FILE"
            )
        if embedder != self.embedder:
            step = (
                f"If they are its, say so: --embedder {name_to_load(self.embedder)} (its name or its file); else "
                f"calibrate for the other."
            )
            raise EmbedderMismatchError(
                f"{where}: made for embeddings of {self.embedder}, got those of "
                f"{embedder or 'an embedder not named'}. "
                f"{remedy(self.embedder, embedder, step, anew='calibrate for the other')}"
            )

    def stratum(self, looks: tuple[str, str], sizes: tuple[int, int]) -> Stratum | None:
        """What was measured of such pairs, in any order of the sides; None if nothing was."""
        sides = sorted(zip(looks, sizes, strict=True))
        wanted = tuple(look for look, _ in sides), tuple(size for _, size in sides)
        return next((s for s in self.strata if (s.looks, s.num_images) == wanted), None)

    def nearest_sizes(self, num_images: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The calibrated numbers of images that are nearest to others, as ratios."""
        sizes = np.array(self.sizes, dtype=np.int64)
        gap = np.abs(np.log(np.atleast_1d(num_images))[:, None] - np.log(sizes))
        found: npt.NDArray[np.int64] = sizes[gap.argmin(axis=1)]
        return found

    def poor_looks(self, vectors: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which templates look like those of degraded sets, (T,)."""
        cosines = np.asarray(vectors, dtype=np.float64) @ np.asarray(self.model.directions).T
        return poorness(cosines, np.array(self.model.are_poor)) >= self.model.border


def poorness(cosines: Floats, are_poor: npt.NDArray[np.bool_]) -> Floats:
    """Mean cosine to the mean templates of degraded sets, less that to the others, (T,)."""
    found: Floats = cosines[:, are_poor].mean(axis=1) - cosines[:, ~are_poor].mean(axis=1)
    return found


def why_unsupported(rate: float, num_trials: int, what: str, num_people: int) -> str:
    """Why no figure is given for a rate that so few comparisons or searches cannot support."""
    needed = MIN_EXPECTED_ERRORS / rate
    words = f"{needed:,.0f}" if needed < _LONGEST_COUNT else f"{needed:.1e}"
    if needed == float("inf"):
        words = "more than countable"
    return (
        f"a rate of {rate:g} needs {words} {what} to expect "
        f"{MIN_EXPECTED_ERRORS} errors; the calibration has {num_trials:,} of {num_people:,} people"
    )


def why_too_large(rate: float, largest: float, what: str) -> str:
    """Why no figure is given for a rate so much larger than all that were measured."""
    return f"a rate of {rate:g} of {what} was not measured, nor one near it; the largest that is given is {largest:g}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return tuple(_plain(item) for item in value)
    return round(float(value), _DIGITS) if isinstance(value, float | np.floating) else int(value)
