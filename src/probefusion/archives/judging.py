"""Whether the images of each template of an archive are of one person, by the rows that were kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.contributions import Sums
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.judging import worst_splits
from probefusion.screening.known import CAUTIOUS, expectation_for
from probefusion.screening.stacks import stack_of_sums
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_TELL", "NOT_LOOKED_AT", "ONE_PERSON", "SEVERAL_PEOPLE", "Verdicts", "judge"]

NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE, CANNOT_TELL = range(4)
"""What is known of a template, as it goes to a file."""

_NUMBERS_AT_ONCE = 2048
"""Images, times clusters of the fuser, that are judged together."""


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
    view = _view(images, fuser)
    expected = expectation_for(view.fingerprint) or CAUTIOUS
    for places in _batches(counts, view):
        size = int(counts[places[0]])
        rows = images[(borders[places][:, None] + np.arange(size)).ravel()]
        flat = view.encode_many(rows, np.arange(len(rows) + 1))
        alone = view.finish_many(flat).astype(np.float64).reshape(len(places), size, -1)
        sums = Sums(*(array.reshape(len(places), size, *array.shape[1:]) for array in flat))
        stack, weighing = stack_of_sums(view, sums, alone)
        if not len(stack):
            continue
        split = worst_splits(stack, expected)
        is_mixed = split.scores > expected.threshold
        shares = np.einsum("pn,pn->p", split.parts, stack.weights)
        codes[places[weighing]] = np.where(is_mixed, SEVERAL_PEOPLE, ONE_PERSON)
        lighter[places[weighing]] = np.where(is_mixed, np.minimum(shares, 1 - shares), 0)
    return Verdicts(codes, lighter)


def _view(images: EmbeddingSet, fuser: Fuser) -> Fuser:
    """The fuser itself, or one for which it was measured what to expect of its halves."""
    if expectation_for(fuser.fingerprint) is not None:
        return fuser
    return MeanFuser(num_threads=1) if images.quality is None else UniversalFuser(num_threads=1)


def _batches(counts: npt.NDArray[np.int64], view: Fuser) -> Iterator[npt.NDArray[np.intp]]:
    """Places of sets of one size each, so many that their splits fit into little memory."""
    for size in range(LEAST_IMAGES, int(counts.max(initial=0)) + 1):
        places = np.flatnonzero(counts == size)
        most = max(1, _NUMBERS_AT_ONCE // (size * view.num_clusters))
        for start in range(0, len(places), most):
            yield places[start : start + most]
