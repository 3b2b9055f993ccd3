"""How sure other packages are that what they embedded is a face."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from probefusion.errors import DtypeError
from probefusion.types import FloatArray

__all__ = ["detector_scores", "read_entry", "score_of", "tell_low_scores"]

_log = logging.getLogger("probefusion")

_LOW = 0.5
"""Scores below this are told: detectors of these packages leave out what they are less sure of, unless asked for."""

_SHOWN = 10
_ROUNDED = 1e-3
"""By so much a score may pass 1, as half precision rounds."""


def detector_scores(faces: Sequence[Any], name: str, package: str) -> FloatArray | None:
    """The scores of faces, as a column of a set.

    Args:
        faces: N faces: dictionaries or objects.
        name: The entry that holds the score.
        package: For messages.

    Returns:
        (N,) float32, 0 to 1, or None if not every face has one, or if they are of another scale, which is noted
        in the log: percent, or votes of a cascade.

    Raises:
        DtypeError: If one is no finite number.
    """
    scores = [score_of(face, name, package) for face in faces]
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    if min(known) < 0 or max(known) > 1 + _ROUNDED:
        _log.warning(
            "%s: scores of %g to %g are not of the scale 0 to 1 (%s) and are left out; the embeddings are kept. "
            "Divide percent by 100.",
            *(package, min(known), max(known), name),
        )
        return None
    return np.array(known, np.float32)


def score_of(face: Any, name: str, package: str) -> float | None:
    """The score of one face, or None if it has none.

    Args:
        face: A dictionary or an object.
        name: The entry that holds the score.
        package: For messages.

    Raises:
        DtypeError: If it is no finite number.
    """
    value = read_entry(face, name)
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
