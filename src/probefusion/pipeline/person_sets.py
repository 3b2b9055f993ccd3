"""The images of one person, embedded and screened, before they are fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probefusion.embedders import EmbeddingReport
from probefusion.pipeline.results import FaceChoice
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.faces import FaceFacts, SkippedImage
    from probefusion.screening import Screening

__all__ = ["EmbeddedPerson", "PersonSets"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedPerson(EmbeddingReport):
    """Images of one person as one set, and what became of them.

    Args:
        screening: Whether the images, as they were given, are of one person.
        face_choice: How faces were chosen in photos of several; None if there were none.
        problems: What there is to warn of, in words.
    """

    screening: Screening
    face_choice: FaceChoice | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonSets:
    """Everything that there is of one person, as sets, and what became of it.

    Args:
        sets: One for each embedding file or object, and one for all images.
        skipped: Images that were left out, with reasons.
        problems: What there is to warn of, in words.
        faces: What is to be known of the face of each photo.
        screening: Whether the images, as they were given, are of one person.
        face_choice: How faces were chosen in photos of several; None if there were none.
    """

    sets: tuple[EmbeddingSet, ...]
    skipped: tuple[SkippedImage, ...] = ()
    problems: tuple[str, ...] = ()
    faces: tuple[FaceFacts, ...] = ()
    screening: Screening
    face_choice: FaceChoice | None = None
