"""Is this set one person? The whole of it: choose what to expect, split, name."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.assignment import leanings
from probefusion.screening.elements import Elements
from probefusion.screening.expectation import Expectation
from probefusion.screening.judging import Split, outlying, scores_alone, worst_split
from probefusion.screening.known import CAUTIOUS, expectation_for, is_measured
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES, Part, Screening
from probefusion.types import EmbeddingSet

__all__ = ["MOST_IMAGES", "outliers", "screen"]

MOST_IMAGES = 256
"""Larger sets are split by a sample of so many images, evenly spaced; the others are told apart by its halves."""


def screen(images: EmbeddingSet, fuser: Fuser) -> Screening:
    """Tells whether a set of images is of one person.

    The most suspicious way to part the set in two is looked for; its score says how much less alike the
    fused halves are than those of one person with halves of such a weight. Sets of fewer than 4 images,
    and embeddings shorter than 64, cannot be told. Duplicates count as images. Cost: linear in N beyond
    a sample of 256 images.

    Args:
        images: The set.
        fuser: The fuser whose template the set is for.

    Raises:
        ProbeFusionError: If the set does not fit the fuser.
    """
    fuser.check_fits(images)
    count = len(images)
    sources = None if images.sources is None else tuple(images.sources.tolist())
    reason = _why_not(images)
    judged = None if reason else _Judged.of(images, fuser)
    if judged is None:
        return Screening(
            num_images=count,
            verdict="cannot tell",
            score=math.nan,
            threshold=math.nan,
            is_calibrated=False,
            reason=reason or "the embeddings cancel each other, or weigh nothing",
            sources=sources,
        )
    split = worst_split(judged.sample, judged.expected)
    is_mixed = split.score > judged.expected.threshold
    alone = scores_alone(judged.sample, judged.expected)
    suspects = judged.rows[np.flatnonzero(alone > judged.expected.threshold)]
    return Screening(
        num_images=count,
        verdict="several people" if is_mixed else "one person",
        score=split.score,
        threshold=judged.expected.threshold,
        is_calibrated=judged.is_calibrated,
        parts=judged.parts(images, fuser, split) if is_mixed else (),
        outliers=tuple(suspects.tolist()),
        sources=sources,
    )


def outliers(images: EmbeddingSet, fuser: Fuser) -> tuple[int, ...]:
    """Images that are unlike the rest, found one by one, each time without those found before.

    Args:
        images: The set.
        fuser: The fuser whose template it is for.

    Returns:
        Their places, ascending; () where nothing can be told. At most 32, and half of the set, and of sets
        above 256 images only those of the sample.

    Raises:
        ProbeFusionError: If the set does not fit the fuser.
    """
    fuser.check_fits(images)
    judged = None if _why_not(images) else _Judged.of(images, fuser)
    if judged is None:
        return ()
    found = outlying(judged.sample, judged.expected, LEAST_IMAGES - 1)
    return tuple(judged.rows[found].tolist())


class _Judged:
    """A set as it is judged: a sample of it, by a fuser for which it is known what to expect."""

    def __init__(
        self, view: Fuser, expected: Expectation, sample: Elements, rows: npt.NDArray[np.intp]
    ) -> None:
        self.view, self.expected, self.sample, self.rows = view, expected, sample, rows
        self.is_calibrated = False

    @staticmethod
    def of(images: EmbeddingSet, fuser: Fuser) -> _Judged | None:
        """None where the images cannot be judged at all."""
        view = _view(images, fuser)
        expected = expectation_for(view.fingerprint) or CAUTIOUS
        count = len(images)
        rows = np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).round().astype(np.intp))
        try:
            sample = Elements.of(images[rows], view)
        except InvalidInputError:
            return None
        judged = _Judged(view, expected, sample, rows)
        judged.is_calibrated = view.embedder is not None or is_measured(images.embedder)
        return judged

    def parts(self, images: EmbeddingSet, fuser: Fuser, split: Split) -> tuple[Part, ...]:
        """The heavier and the lighter part of the whole set."""
        weights = fuser.fuse(images).weights
        shares = np.full(len(images), 1 / len(images)) if weights is None else weights
        odds = leanings(self.sample, split.part, self.expected)
        inside = np.empty(len(images), dtype=bool)
        leaning = np.empty(len(images))
        inside[self.rows], leaning[self.rows] = split.part, odds
        others = np.setdiff1d(np.arange(len(images)), self.rows)
        if len(others):
            halves = self.sample.templates(np.stack([split.part, ~split.part]))
            alone = self.view.fuse_many(images[others], np.arange(len(others) + 1))
            nearer = alone @ (halves[0] - halves[1])
            leaning[others] = nearer / 0.12  # in spreads of strangers' cosines
            inside[others] = nearer > 0
        sides = sorted((inside, ~inside), key=lambda side: -float(shares[side].sum()))
        return tuple(
            Part(
                rows=tuple(np.flatnonzero(side).tolist()),
                weight=float(shares[side].sum()),
                sureness=tuple(_probabilities(np.where(inside, leaning, -leaning)[side]).tolist()),
            )
            for side in sides
        )


def _probabilities(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return probabilities


def _view(images: EmbeddingSet, fuser: Fuser) -> Fuser:
    """The fuser itself, or one for which it was measured what to expect of its halves."""
    if expectation_for(fuser.fingerprint) is not None:
        return fuser
    if images.quality is not None:
        return UniversalFuser(num_threads=1)
    return MeanFuser(num_threads=1)


def _why_not(images: EmbeddingSet) -> str:
    count = len(images)
    if count < LEAST_IMAGES:
        given = "1 image" if count == 1 else f"{count} images"
        return f"{given}, and it takes {LEAST_IMAGES}"
    if images.dim < LEAST_DIM:
        return f"embeddings of {images.dim} dimensions, and it takes {LEAST_DIM}"
    return ""
