"""`usability.json`: what was measured for one fuser and one embedder, beside the fuser's card.

For fusers without a folder (mean, universal) the package holds such files by the names of fuser and embedder.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.files import replace_file
from probefusion.files.hashed_json import hashed_json
from probefusion.files.records import read_record

__all__ = ["FORMAT_VERSION", "RECORD_NAME", "UsabilityRecord", "read_usability", "write_usability"]

RECORD_NAME = "usability.json"
FORMAT_VERSION = 1

NUM_TERMS = 10
"""Terms of each formula, see `probefusion.screening.usability.TERMS`."""

NUM_GAIN_TERMS = 6
"""Terms of the formula of the gain, see `probefusion.screening.gain.TERMS`."""

_STEP = "Copy the fuser folder again, or fit it anew with: probefusion calibrate"


@dataclass(frozen=True, kw_only=True)
class UsabilityRecord:
    """The constants of the formulas, and how they were measured.

    Args:
        fuser: Fingerprint of the fuser.
        embedder: Fingerprint of the embedder.
        appearance: (D + S) constants of the linear score of direction and mean style token that predicts similarity.
        appearance_offset: Its constant.
        likeness: (D + S) constants of the linear score that tells faces, 1, from other pictures, -1.
        likeness_offset: Its constant.
        least_likeness: Below this score images are taken for no faces.
        lower: Constants of the lower end of the interval, one for each of `TERMS`.
        median: Constants of the prediction.
        upper: Constants of the upper end.
        level: Similarity at which a template is accepted at `false_match_rate`, measured on the same sets.
        false_match_rate: A fraction.
        coverage: Share of sets whose similarity lies in the interval.
        gain: Constants of the predicted gain over the plain mean; () where it was not fitted.
        fitted_on: Data, folds and numbers, as JSON can hold them.
        format_version: Version of this format.

    Raises:
        ConfigError: If numbers do not belong together, or are not finite.
    """

    fuser: str
    embedder: str
    appearance: tuple[float, ...]
    appearance_offset: float
    likeness: tuple[float, ...]
    likeness_offset: float
    least_likeness: float
    lower: tuple[float, ...]
    median: tuple[float, ...]
    upper: tuple[float, ...]
    level: float
    false_match_rate: float
    coverage: float
    gain: tuple[float, ...] = ()
    fitted_on: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name in ("lower", "median", "upper"):
            if len(getattr(self, name)) != NUM_TERMS:
                raise ConfigError(
                    f"{name}: expected {NUM_TERMS} constants, got {len(getattr(self, name))}."
                )
        if len(self.gain) not in (0, NUM_GAIN_TERMS):
            raise ConfigError(
                f"gain: expected {NUM_GAIN_TERMS} constants or none, got {len(self.gain)}."
            )
        if not self.appearance or len(self.appearance) != len(self.likeness):
            raise ConfigError(
                f"appearance, likeness: expected as many constants in both, got "
                f"{len(self.appearance)} and {len(self.likeness)}."
            )
        for name in ("false_match_rate", "coverage"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected a fraction, got {getattr(self, name)}.")
        numbers = (*self.appearance, *self.likeness, *self.lower, *self.median, *self.upper)
        offsets = (self.appearance_offset, self.likeness_offset, self.least_likeness, self.level)
        if not all(map(math.isfinite, (*numbers, *offsets, *self.gain))):
            raise ConfigError("usability: expected finite constants, got NaN or infinity.")

    @cached_property
    def matrices(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Likeness and appearance as (D + S, 2), and lower, median and upper as (10, 3)."""
        scores = np.array([self.likeness, self.appearance]).T
        formulas = np.array([self.lower, self.median, self.upper]).T
        return np.ascontiguousarray(scores), np.ascontiguousarray(formulas)


def write_usability(record: UsabilityRecord, path: Path, *, force: bool = False) -> None:
    """Writes a record with its hash, atomically.

    Raises:
        OutputExistsError: If there is one and `force` is False.
    """
    with replace_file(path, force=force) as stream:
        stream.write(hashed_json(asdict(record), indent=1))


def read_usability(path: Path) -> UsabilityRecord:
    """Reads what `write_usability` wrote.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no such record.
        IntegrityError: If it is not what was written.
    """
    return read_record(path, UsabilityRecord, newest=FORMAT_VERSION, hashed_from=1, step=_STEP)
