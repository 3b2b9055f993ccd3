"""How alike two people are, and whether that is a match."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from probefusion.pipeline.inputs import Source
from probefusion.types import Template, Usability

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.fusion.threshold import Threshold
    from probefusion.pipeline.results import FaceChoice
    from probefusion.screening import Screening

__all__ = ["Comparison", "Side"]

Side: TypeAlias = Template | Source | Iterable[Source]
"""One person: a template, `FILE`, `FILE#ID`, or what is to be fused."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How alike two templates are.

    Args:
        similarity: Their cosine, in [-1, 1].
        num_images: How many images went into each.
        fuser: Fingerprint of the fuser of the first, or None when unknown.
        embedder: Fingerprint of the embedder of the first, or None when unknown.
        threshold: The threshold for these two at the rate that was asked for, or None where there is none: a
            `probefusion.fusion.decisions.MeasuredThreshold`, or one of an older fuser's card.
        ids: Which templates of two sets were compared, or None. Of one person beside a set, that side's
            path, or "" where it is an object.
        skipped: Images that could not be used, with reasons.
        usability: What can be expected of each side's template: estimated from its state, or when it was finished.
        screening: Whether each side's images are of one person, or why nobody looked; None for templates of a set.
        face_choice: How each side's faces were chosen in photos of several; None where there were none.
        problems: What there is to warn of in either side, in words: images of somebody else, not usable.
        why_none: Why there is no threshold, or None.
        warnings: Where the two lie outside what the calibration saw, it does not tell them apart, or a side's images
            are poorer than those that the threshold was verified for.
    """

    similarity: float
    num_images: tuple[int, int]
    fuser: str | None
    embedder: str | None
    threshold: Threshold | None
    usability: tuple[Usability, Usability]
    ids: tuple[str, str] | None = None
    skipped: tuple[SkippedImage, ...] = ()
    screening: tuple[Screening | None, Screening | None] = (None, None)
    face_choice: tuple[FaceChoice | None, FaceChoice | None] = (None, None)
    problems: tuple[str, ...] = ()
    why_none: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_match(self) -> bool | None:
        """Whether the similarity reaches the threshold; None where there is none."""
        return None if self.threshold is None else self.similarity >= self.threshold.similarity
