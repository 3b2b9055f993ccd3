"""Whether a real gallery, enrolled and searched image set by image set, answers as the arrays do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from probefusion.fusion import Fuser
from probefusion.gallery import Gallery
from research.smear.smear_sets import SmearSets, SmearSize, draw_halves
from research.smear.template_rules import FusedRule

__all__ = ["HALF_PRECISION", "GalleryAgreement", "compare_with_gallery"]

HALF_PRECISION = 2e-3
"""A gallery keeps what an image says of a person in half precision; similarities may differ by so much."""


@dataclass(frozen=True, kw_only=True)
class GalleryAgreement:
    """A gallery beside the arrays.

    Args:
        num_enrolled: People in the gallery.
        num_searches: Searches of it, by everybody.
        num_decisions: Pairs of a search and a person that were decided.
        num_other_decisions: Of them, those decided otherwise than by the arrays.
        num_clear_other_decisions: Of those, the ones not within half precision of the threshold.
        num_other_tops: Searches whose most similar person is another one.
        largest_difference: Of any similarity.
    """

    num_enrolled: int
    num_searches: int
    num_decisions: int
    num_other_decisions: int
    num_clear_other_decisions: int
    num_other_tops: int
    largest_difference: float


def compare_with_gallery(
    sets: SmearSets, fuser: Fuser, size: SmearSize, *, threshold: float, folder: Path
) -> GalleryAgreement:
    """Enrols the first half of the first draw in a gallery, and searches for everybody.

    Args:
        sets: What enrols and searches.
        fuser: The fuser of both.
        size: How many images.
        threshold: Similarity to decide at.
        folder: Where the gallery is made; there must be none.
    """
    enrolled, probes = sets.rows_of(0, size)
    rule = FusedRule(name=fuser.name, fuser=fuser)
    expected = rule.similarities(sets.images, enrolled, probes)
    half = np.flatnonzero(draw_halves(len(sets.people), 0))
    expected = expected[:, half]
    column = {str(sets.people[person]): place for place, person in enumerate(half)}
    found = np.full(expected.shape, np.nan)
    is_match = np.zeros(expected.shape, dtype=np.bool_)
    other_tops = 0
    with Gallery(folder / "smear.db", fuser=fuser) as gallery:
        for person in half:
            gallery.enroll(str(sets.people[person]), sets.images[enrolled[person]])
        for row, images in enumerate(probes):
            answer = gallery.search(sets.images[images], top_k=len(half), threshold=threshold)
            for candidate in answer.candidates:
                found[row, column[candidate.name]] = candidate.similarity
                is_match[row, column[candidate.name]] = bool(candidate.is_match)
            other_tops += column[answer.candidates[0].name] != expected[row].argmax()
    others = is_match != (expected >= threshold)
    clear = np.abs(expected - threshold) > HALF_PRECISION
    return GalleryAgreement(
        num_enrolled=len(half),
        num_searches=len(probes),
        num_decisions=int(np.isfinite(found).sum()),
        num_other_decisions=int(others.sum()),
        num_clear_other_decisions=int((others & clear).sum()),
        num_other_tops=other_tops,
        largest_difference=float(np.abs(found - expected).max()),
    )
