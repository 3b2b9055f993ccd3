"""Whether the images of each template of an archive are of one person, by the rows that were kept of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.screening import screen
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_TELL", "NOT_LOOKED_AT", "ONE_PERSON", "SEVERAL_PEOPLE", "Verdicts", "judge"]

NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE, CANNOT_TELL = range(4)
"""What is known of a template, as it goes to a file."""

_CODES = {"one person": ONE_PERSON, "several people": SEVERAL_PEOPLE}


class Verdicts(NamedTuple):
    """What was said of P templates.

    Attributes:
        codes: (P,) int8, one of the codes of this module.
        lighter: (P,) float32, share of the weight of the lighter part where there are several people, else 0.
    """

    codes: npt.NDArray[np.int8]
    lighter: npt.NDArray[np.float32]


def judge(images: EmbeddingSet, borders: npt.NDArray[np.int64], fuser: Fuser) -> Verdicts:
    """Judges sets one by one.

    Args:
        images: Up to 16 images of each, one set after the other.
        borders: (P + 1,) where each begins, and the end.
        fuser: The fuser whose templates they are for.
    """
    counts = np.diff(borders)
    codes = np.full(len(counts), CANNOT_TELL, np.int8)
    lighter = np.zeros(len(counts), np.float32)
    if images.dim < LEAST_DIM:
        return Verdicts(codes, lighter)
    for place in np.flatnonzero(counts >= LEAST_IMAGES):
        screening = screen(images[borders[place] : borders[place + 1]], fuser)
        codes[place] = _CODES.get(screening.verdict, CANNOT_TELL)
        if screening.falls_apart:
            lighter[place] = screening.parts[1].weight
    return Verdicts(codes, lighter)
