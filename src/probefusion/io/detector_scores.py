"""How sure other packages are that what they embedded is a face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probefusion.errors import DtypeError
from probefusion.types import FloatArray

__all__ = ["detector_scores", "read_entry"]

_log = logging.getLogger("probefusion")

_LOW = 0.5
"""Scores below this are told: detectors of these packages leave out what they are less sure of, unless asked for."""

_SHOWN = 10


def detector_scores(faces: Sequence[Any], name: str, package: str) -> FloatArray | None:
    """The scores of faces, as a column of a set. Those below one half are noted in the log.

    Args:
        faces: N faces: dictionaries or objects.
        name: The entry that holds the score.
        package: For messages.

    Returns:
        (N,) float32, or None if not every face has one.

    Raises:
        DtypeError: If one is no finite number.
    """
    values = [read_entry(face, name) for face in faces]
    if not values or any(value is None for value in values):
        return None
    try:
        scores = np.array([np.asarray(value, np.float64).reshape(()) for value in values])
        is_number = np.isfinite(scores)
    except (TypeError, ValueError):
        is_number = np.zeros(len(values), bool)
    if not is_number.all():
        raise DtypeError(
            f"{name} of {package}: expected a number for each face, got {values[int(np.argmin(is_number))]!r}."
        )
    low = np.flatnonzero(scores < _LOW)
    if len(low):
        shown = ", ".join(f"face {place} ({scores[place]:.2f})" for place in low[:_SHOWN])
        _log.warning(
            "%s is not sure of %d of %d faces (%s below %g): %s%s. Look at them, or leave them out.",
            *(package, len(low), len(scores), name, _LOW, shown),
            ", ..." if len(low) > _SHOWN else "",
        )
    return scores.astype(np.float32)


def read_entry(face: Any, name: str) -> Any:
    """An entry of a dictionary or an attribute; None where there is neither."""
    getter: Callable[[str], Any] | None = face.get if isinstance(face, Mapping) else None
    return getter(name) if getter is not None else getattr(face, name, None)
