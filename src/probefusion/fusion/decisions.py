"""Which similarity decides about two templates, at what rate, how sure, and why there may be none."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmbedderMismatchError
from probefusion.files import bundled_folder
from probefusion.fusion.calibration import (
    CALIBRATION_NAME,
    LOOKS,
    CalibrationRecord,
)
from probefusion.fusion.calibration_files import read_calibration
from probefusion.fusion.rate_basis import (
    RateBasis,
    basis_of_pairs,
    basis_of_searches,
)
from probefusion.fusion.threshold import Threshold

if TYPE_CHECKING:
    from probefusion.fusion import Fuser
    from probefusion.types import FloatArray

__all__ = [
    "NOT_COVERED",
    "Calibrated",
    "Decision",
    "MeasuredThreshold",
    "Side",
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

_MARGIN = 0.02
"""How far outside what was seen a cosine may lie before it is told."""


@dataclass(frozen=True, kw_only=True)
class MeasuredThreshold(Threshold):
    """A threshold for two given templates, with what its rate came to on people that were not fitted.

    Args:
        low: Lower end of the 95 % intervals over people of the rate that was reached, of all kinds of people measured.
        high: Upper end.
        num_people: People among whom that was measured.
        looks: What the two templates look like: "clear" or "poor".
        gallery_size: Size of the gallery if the rate is that of a search (FPIR), or None.
        measured_size: Size of the galleries that was measured with, the nearest that was, or None.
        elsewhere: Upper 95 % bound of the rate among people of a kind that was not measured, or None where too few
            kinds were for one.
    """

    low: float
    high: float
    num_people: int
    looks: tuple[str, str]
    gallery_size: int | None = None
    measured_size: int | None = None
    elsewhere: float | None = None

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
            f"measured{where}: {self.low:.2g} to {self.high:.2g} among people like those measured, "
            f"{self.num_non_mated:,} {what} of {self.num_people:,} people not fitted"
        )

    @property
    def elsewhere_in_words(self) -> str:
        """What is known of people unlike those measured."""
        if self.elsewhere is None:
            return "among people unlike those measured: not known"
        return (
            f"among people unlike those measured: up to {self.elsewhere:.2g} in 95 of 100 such populations. "
            "Calibrate on people like those you decide about"
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
        record = given if isinstance(given, CalibrationRecord) else _in_file(Path(os.fspath(given)))
        where = "calibration" if isinstance(given, CalibrationRecord) else os.fspath(given)
        record.check_made_for(made_by, embedder, where=where)
        return record
    if made_by is None:
        return None
    path = _own_file(fuser, made_by, embedder)
    try:
        if path is None or not path.is_file():
            return None
    except OSError:  # an embedder whose name is too long for a file
        return None
    record = _in_file(path)
    is_its = record.fuser == made_by and embedder in (record.embedder, None)
    return record if is_its else None


def _in_file(path: Path) -> CalibrationRecord:
    """The calibration in a file; raises as `read_calibration`."""
    try:
        found = path.stat()
    except OSError:
        return read_calibration(path)  # says what is wrong
    return _read_once(path, (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size))


@functools.lru_cache(maxsize=64)
def _read_once(path: Path, version: tuple[int, ...]) -> CalibrationRecord:
    """The calibration in a file, read once for each version of the file (inode, times, size)."""
    del version
    return read_calibration(path)


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

    Raises:
        EmbedderMismatchError: If templates are of another number of dimensions than the calibration's.
    """
    model = record.model.model()
    sides = (first, second)
    dim = model.directions.shape[1]
    for side in sides:
        if side.vectors.shape[1] != dim:
            raise EmbedderMismatchError(
                f"{side.name}: expected templates of {dim} numbers, as the calibration is of, got "
                f"{side.vectors.shape[1]}. Calibrate again: probefusion calibrate FUSER --data DIR -o FILE"
            )
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
            basis_of_pairs(record, pair, numbers, false_match_rate)
            for pair, numbers in zip(pairs, nearest, strict=True)
        ]
        asked = np.array([_asked_of(basis) for basis in bases])
    else:
        bases = [basis_of_searches(record, size, false_positive_rate)] * len(second.num_images)
        asked = np.full(len(bases), _asked_of(bases[0]) if bases else 0.5)
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
            elsewhere=basis.measured.elsewhere,
            num_people=basis.num_people,
            looks=pairs[place],
            gallery_size=None if false_positive_rate is None else size,
            measured_size=basis.measured_size,
        )
        found.append(Decision(threshold=threshold, warnings=warnings))
    return found


def _asked_of(basis: RateBasis) -> float:
    """The rate asked of the model; any other where there is no decision, as one may be too small to be asked."""
    return basis.asked if basis.measured is not None else 0.5


def _own_file(fuser: Fuser | None, made_by: str, embedder: str | None) -> Path | None:
    folder = getattr(fuser, "folder", None)
    if isinstance(folder, Path) and fuser is not None and fuser.fingerprint == made_by:
        return folder / CALIBRATION_NAME
    if embedder is None:
        return None
    name = f"{made_by}.{embedder}".replace("@", "-")
    return bundled_folder() / "calibrations" / f"{name}.json"


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
