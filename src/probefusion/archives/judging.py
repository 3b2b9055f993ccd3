"""Whether the images of each template of an archive are of one person, by the rows that were kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.contributions import Sums
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.elements import Elements
from probefusion.screening.expectation import Expectation
from probefusion.screening.judging import worst_split
from probefusion.screening.known import CAUTIOUS, expectation_for
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_TELL", "NOT_LOOKED_AT", "ONE_PERSON", "SEVERAL_PEOPLE", "Verdicts", "judge"]

NOT_LOOKED_AT, ONE_PERSON, SEVERAL_PEOPLE, CANNOT_TELL = range(4)
"""What is known of a template, as it goes to a file."""

_SETS_AT_ONCE = 256


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

    What each image is alone is computed for all sets together; only the search for the worst split goes set by set.

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
    for places in _batches(np.flatnonzero(counts >= LEAST_IMAGES)):
        sizes = counts[places]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.repeat(borders[places] - edges[:-1], sizes) + np.arange(edges[-1])
        sums = view.encode_many(images[rows], np.arange(len(rows) + 1))
        alone = view.finish_many(sums).astype(np.float64)
        for place, start, stop in zip(places.tolist(), edges[:-1], edges[1:], strict=True):
            own = Sums(*(array[start:stop] for array in sums))
            share = _lighter_part(view, own, alone[start:stop], expected)
            if share is not None:
                codes[place] = SEVERAL_PEOPLE if share > 0 else ONE_PERSON
                lighter[place] = share
    return Verdicts(codes, lighter)


def _lighter_part(
    view: Fuser, sums: Sums, alone: npt.NDArray[np.float64], expected: Expectation
) -> float | None:
    """Share of the weight of the lighter part; 0 where there is one person, None where nothing can be told."""
    try:
        elements = Elements.from_sums(view, sums, alone)
    except InvalidInputError:  # its images weigh nothing
        return None
    split = worst_split(elements, expected)
    if not split.score > expected.threshold:
        return 0.0
    share = float(elements.weights[split.part].sum())
    return min(share, 1 - share)


def _view(images: EmbeddingSet, fuser: Fuser) -> Fuser:
    """The fuser itself, or one for which it was measured what to expect of its halves."""
    if expectation_for(fuser.fingerprint) is not None:
        return fuser
    return MeanFuser(num_threads=1) if images.quality is None else UniversalFuser(num_threads=1)


def _batches(places: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, len(places), _SETS_AT_ONCE):
        yield places[start : start + _SETS_AT_ONCE]
