"""How sure other packages are that what they embedded is a face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probefusion.errors import DtypeError
from probefusion.types import FloatArray

__all__ = ["detector_scores", "read_entry", "tell_low_scores"]

_log = logging.getLogger("probefusion")

_LOW = 0.5
"""Scores below this are told: detectors of these packages leave out what they are less sure of, unless asked for."""

_SHOWN = 10


def detector_scores(faces: Sequence[Any], name: str, package: str) -> FloatArray | None:
    """The scores of faces, as a column of a set.

    Args:
        faces: N faces: dictionaries or objects.
        name: The entry that holds the score.
        package: For messages.

    Returns:
        (N,) float32, or None if not every face has one.

    Raises:
        DtypeError: If one is no finite number.
    """
    scores = [_number(read_entry(face, name), name, package) for face in faces]
    known = [score for score in scores if score is not None]
    return np.array(known, np.float32) if known and len(known) == len(scores) else None


def _number(value: Any, name: str, package: str) -> float | None:
    if value is None:
        return None
    try:
        score = float(np.asarray(value, np.float64).reshape(()))
    except (TypeError, ValueError):
        score = np.nan
    if not np.isfinite(score):
        raise DtypeError(f"{name} of {package}: expected a number for each face, got {value!r}.")
    return score


def tell_low_scores(scores: FloatArray | None, name: str, package: str) -> None:
    """Notes in the log scores below one half.

    Args:
        scores: (N,), or None where they are not known.
        name: The entry that held them.
        package: What gave them.
    """
    low = [] if scores is None else np.flatnonzero(scores < _LOW).tolist()
    if scores is not None and low:
        shown = ", ".join(f"face {place} ({scores[place]:.2f})" for place in low[:_SHOWN])
        _log.warning(
            "%s is not sure of %d of %d faces (%s below %g): %s%s. Look at them, or leave them out.",
            *(package, len(low), len(scores), name, _LOW, shown),
            ", ..." if len(low) > _SHOWN else "",
        )


def read_entry(face: Any, name: str) -> Any:
    """An entry of a dictionary or an attribute; None where there is neither."""
    getter: Callable[[str], Any] | None = face.get if isinstance(face, Mapping) else None
    return getter(name) if getter is not None else getattr(face, name, None)
