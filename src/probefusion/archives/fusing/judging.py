"""Whether the images of each template of an archive are of one person, by the rows that were kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.screening.judging import judge_splits
from probefusion.screening.stacks import Stack
from probefusion.screening.verdict import LEAST_DIM
from probefusion.screening.views import view_of
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_TELL", "NOT_LOOKED_AT", "ONE_PERSON", "SEVERAL_PEOPLE", "Verdicts", "judge"]

NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE, CANNOT_TELL = range(4)
"""What is known of a template, as it goes to a file."""

_IMAGES_AT_ONCE = 2048
"""So many are judged together, of sets of one size."""


class Verdicts(NamedTuple):
    """What was said of P templates.

    Attributes:
        codes: (P,) int8, one of the codes of this module.
        lighter: (P,) float32, share of the weight of the lighter part where there are several people, else 0.
    """

    codes: npt.NDArray[np.int8]
    lighter: npt.NDArray[np.float32]


def judge(images: EmbeddingSet, borders: npt.NDArray[np.int64], fuser: Fuser) -> Verdicts:
    """Judges sets, with the verdicts of `probefusion.screening.screen`.

    Sets of equally many images are judged together.

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
    view = view_of(images, fuser)
    for places in _batches(counts, view.least_images):
        size = int(counts[places[0]])
        rows = borders[places][:, None] + np.arange(size)
        directions, masses = view.look(images[rows.ravel()])
        masses = masses.reshape(len(places), size)
        weighing = masses.sum(axis=1) > 0
        if not weighing.any():
            continue
        stack = Stack(
            directions=directions.reshape(len(places), size, -1)[weighing], masses=masses[weighing]
        )
        judged = judge_splits(stack, view.expected)
        is_mixed = judged.scores > view.expected.threshold
        codes[places[weighing]] = np.where(is_mixed, SEVERAL_PEOPLE, ONE_PERSON)
        for each in np.flatnonzero(is_mixed):
            place = np.flatnonzero(weighing)[each]
            lighter[places[place]] = _lighter_share(fuser, images[rows[place]], judged.parts[each])
    return Verdicts(codes, lighter)


def _lighter_share(fuser: Fuser, images: EmbeddingSet, part: npt.NDArray[np.bool_]) -> float:
    """The smaller of the weights of a part and of the rest in the template."""
    weights = fuser.fuse(images).weights
    share = float(part.mean() if weights is None else weights[part].sum())
    return min(share, 1 - share)


def _batches(counts: npt.NDArray[np.int64], least: int) -> Iterator[npt.NDArray[np.intp]]:
    """Places of sets of one size each, so many that their splits fit into little memory."""
    for size in range(least, int(counts.max(initial=0)) + 1):
        places = np.flatnonzero(counts == size)
        most = max(1, _IMAGES_AT_ONCE // size)
        for start in range(0, len(places), most):
            yield places[start : start + most]
