"""Is this set one person? The whole of it: choose what to expect, split, name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser
from probefusion.screening.assignment import leanings
from probefusion.screening.expectation import STRANGERS
from probefusion.screening.judging import judge_splits, outlying, scores_alone
from probefusion.screening.stacks import Stack
from probefusion.screening.verdict import LEAST_DIM, LEAST_IMAGES, Part, Screening
from probefusion.screening.views import View, view_of
from probefusion.types import EmbeddingSet

__all__ = ["MOST_IMAGES", "outliers", "screen"]

MOST_IMAGES = 256
"""Larger sets are split by a sample of so many images, evenly spaced; the others are told apart by its halves."""


def screen(images: EmbeddingSet, fuser: Fuser) -> Screening:
    """Tells whether a set of images is of one person.

    Ways to part the set in two are looked at; the score says how much less alike their halves are than those of
    one person with halves of such a weight. Images are weighed by the fuser, if it was trained for their embedder and
    measured; else by the quality of their crops or the lengths of their embeddings, where these are known and say
    something. Sets of fewer than 2 images, of fewer than 4 by a view that was not measured for their embedder, and
    embeddings shorter than 64, cannot be told. Duplicates count as images. Cost: linear in N beyond a
    sample of 256 images.

    Args:
        images: The set.
        fuser: The fuser whose template the set is for.

    Raises:
        ProbeFusionError: If the set does not fit the fuser.
    """
    fuser.check_fits(images)
    count = len(images)
    sources = None if images.sources is None else tuple(images.sources.tolist())
    view = view_of(images, fuser)
    reason = _why_not(images, view)
    judged = None if reason else _Judged.of(images, view)
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
    threshold = judged.view.expected.threshold
    split = judge_splits(judged.sample, judged.view.expected)
    score = float(split.scores[0])
    is_mixed = score > threshold
    alone = scores_alone(judged.sample, judged.view.expected)
    suspects = judged.rows[np.flatnonzero(alone > threshold)]
    return Screening(
        num_images=count,
        verdict="several people" if is_mixed else "one person",
        score=score,
        threshold=threshold,
        is_calibrated=judged.view.is_calibrated,
        parts=judged.parts(images, fuser, split.parts[0]) if is_mixed else (),
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
    view = view_of(images, fuser)
    judged = None if _why_not(images, view) else _Judged.of(images, view)
    if judged is None:
        return ()
    found = outlying(judged.sample, judged.view.expected, LEAST_IMAGES - 1)
    return tuple(judged.rows[found].tolist())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """A set as it is judged: a sample of it, by the best view there is.

    Args:
        view: How the images are looked at.
        sample: The sample.
        rows: Its places in the set.
    """

    view: View
    sample: Stack
    rows: npt.NDArray[np.intp]

    @staticmethod
    def of(images: EmbeddingSet, view: View) -> _Judged | None:
        """None where the images cannot be judged at all."""
        count = len(images)
        rows = np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).round().astype(np.intp))
        try:
            directions, masses = view.look(images[rows])
        except InvalidInputError:
            return None
        if not masses.sum() > 0:
            return None
        sample = Stack(directions=directions[None], masses=masses[None])
        return _Judged(view=view, sample=sample, rows=rows)

    def parts(
        self, images: EmbeddingSet, fuser: Fuser, part: npt.NDArray[np.bool_]
    ) -> tuple[Part, ...]:
        """The heavier and the lighter part of the whole set."""
        weights = fuser.fuse(images).weights
        shares = np.full(len(images), 1 / len(images)) if weights is None else weights
        odds = leanings(self.sample, part[None], self.view.expected)[0]
        inside = np.empty(len(images), dtype=bool)
        leaning = np.empty(len(images))
        inside[self.rows], leaning[self.rows] = part, odds
        others = np.setdiff1d(np.arange(len(images)), self.rows)
        if len(others):
            directions, _ = self.view.look(images[others])
            nearer = directions @ self._difference(part)
            leaning[others] = nearer / STRANGERS[1]
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

    def _difference(self, part: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """(D,) the part's template less that of the rest."""
        vectors = self.sample.masses[0, :, None] * self.sample.directions[0]
        sums = [vectors[side].sum(axis=0) for side in (part, ~part)]
        inside, outside = (total / np.linalg.norm(total) for total in sums)
        difference: npt.NDArray[np.float64] = inside - outside
        return difference


def _probabilities(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return probabilities


def _why_not(images: EmbeddingSet, view: View) -> str:
    count = len(images)
    if count < view.least_images:
        given = "1 image" if count == 1 else f"{count} images"
        return f"{given}, and it takes {view.least_images}"
    if images.dim < LEAST_DIM:
        return f"embeddings of {images.dim} dimensions, and it takes {LEAST_DIM}"
    return ""
