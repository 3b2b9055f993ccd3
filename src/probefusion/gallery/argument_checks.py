"""Refuses arguments of a gallery that cannot be, when they are given and not when they are first used."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from numbers import Real
from pathlib import Path

import numpy as np

from probefusion.errors import ConfigError, DtypeError, MissingFileError
from probefusion.files.paths import brief
from probefusion.gallery.keys.master_key import MasterKey

__all__ = [
    "check_count",
    "check_flag",
    "check_id",
    "check_ids",
    "check_number",
    "check_opening",
    "check_seconds",
    "check_time",
]

_LARGEST_COUNT = 2**63 - 1


def check_opening(*, kernel: object, calibration: object, timeout: object, keys: object) -> None:
    """Refuses what a gallery cannot be opened with.

    Raises:
        DtypeError: If the timeout is no number, or the keys are no key and no path.
        ConfigError: If the kernel is unknown, or the timeout below 0 or not finite.
        MissingFileError: If the file of the calibration is not there.
    """
    if kernel not in ("auto", "float32", "int8"):
        raise ConfigError(f"kernel: expected 'auto', 'float32' or 'int8', got {brief(kernel)}.")
    if isinstance(calibration, str | os.PathLike) and not Path(calibration).exists():
        raise MissingFileError(
            f"calibration: {str(calibration)[:200]!r} is not there. Name a file that probefusion calibrate wrote."
        )
    check_seconds(timeout, "timeout")
    if not isinstance(keys, str | os.PathLike | MasterKey | None):
        raise DtypeError(
            f"keys: expected a MasterKey or the path of its file, got {type(keys).__name__}. See "
            f"probefusion.gallery.keys.master_key."
        )


def check_time(time: object, name: str = "time") -> datetime:
    """A time with its zone.

    Raises:
        DtypeError: If it is no time.
        ConfigError: If it has no zone.
    """
    if not isinstance(time, datetime):
        raise DtypeError(
            f"{name}: expected a datetime, got {brief(time)}. Give datetime(..., tzinfo=timezone.utc)."
        )
    if time.tzinfo is None:
        raise ConfigError(
            f"{name}: expected a time with its zone, got one without. Give datetime(..., tzinfo=timezone.utc)."
        )
    return time


def check_count(number: object, name: str, *, at_least: int = 0) -> int:
    """A whole number that a database can hold.

    Raises:
        DtypeError: If it is none.
        ConfigError: If it is too small or too large.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise DtypeError(f"{name}: expected a whole number, got {brief(number)}.")
    if not at_least <= number <= _LARGEST_COUNT:
        raise ConfigError(f"{name}: expected {at_least} or more, of 64 bits, got {brief(number)}.")
    return int(number)


def check_seconds(seconds: object, name: str) -> float:
    """A time to wait.

    Raises:
        DtypeError: If it is no number.
        ConfigError: If it is below 0 or not finite.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        raise DtypeError(f"{name}: expected seconds, got {brief(seconds)}.")
    if not math.isfinite(seconds) or seconds < 0:
        raise ConfigError(f"{name}: expected 0 or more seconds, got {seconds!r}.")
    return float(seconds)


def check_flag(flag: object, name: str) -> bool:
    """Yes or no, and nothing that only counts as such.

    Raises:
        DtypeError: If it is neither.
    """
    if not isinstance(flag, bool | np.bool_):
        raise DtypeError(f"{name}: expected True or False, got {brief(flag)}.")
    return bool(flag)


def check_id(item: object, name: str) -> str:
    """An id of a contribution, an image or a model.

    Raises:
        DtypeError: If it is no text.
    """
    if not isinstance(item, str):
        raise DtypeError(f"{name}: expected an id, got {brief(item)}.")
    return item


def check_number(number: object, name: str) -> None:
    """Refuses what is no real number.

    Raises:
        DtypeError: If it is none.
    """
    if isinstance(number, bool) or not isinstance(number, Real):
        raise DtypeError(f"{name}: expected a number, got {brief(number)}.")


def check_ids(ids: Iterable[str], name: str) -> Sequence[str]:
    """Ids, not the letters of one.

    Raises:
        DtypeError: If it is a text, or one of them is none.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise DtypeError(f"{name}: expected a list of ids, got {brief(ids)}. Give [ID, ...].")
    found = list(ids)
    bad = next((item for item in found if not isinstance(item, str)), None)
    if bad is not None:
        raise DtypeError(f"{name}: expected ids, got {brief(bad)}.")
    return found
