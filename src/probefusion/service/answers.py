"""What routes answer beside the gallery's own results."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from probefusion.gallery.results import Added, SearchResult, Verification
from probefusion.gallery.verbs.explanation import MatchExplanation
from probefusion.pipeline import Fused
from probefusion.types import Template, Usability

__all__ = [
    "Beside",
    "Changed",
    "Compared",
    "Explained",
    "FusedAnswer",
    "ImageCount",
    "Named",
    "Page",
    "Searched",
    "SessionAnswer",
    "Taken",
    "TemplateAnswer",
    "Verified",
    "fused_answer",
    "skipped_facts",
    "template_answer",
]


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A change that was made, and what undoes it.

    Args:
        revision: Of the collection after it.
    """

    revision: int


@dataclass(frozen=True, kw_only=True)
class ImageCount:
    """How much an image counts.

    Args:
        source: Its name.
        weight: Its share of the template.
        similarity: Cosine of its own template with that of all.
    """

    source: str
    weight: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class Left:
    """An image that was left out, and why."""

    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TemplateAnswer:
    """A template.

    Args:
        base64: D little-endian float32 numbers.
        dim: D.
        num_images: Images in it.
        fuser: Fingerprint.
        embedder: Fingerprint, or None.
        usability: What can be expected of it, or None; send it along where you search or compare with the template.
    """

    base64: str
    dim: int
    num_images: int
    fuser: str | None
    embedder: str | None
    usability: Usability | None


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A template beside a person of a gallery.

    Args:
        person_id: Of the person.
        name: Of the person.
        similarity: Of the two templates.
        threshold: From which on it is a match, or None.
        is_match: Whether it is; None without a threshold.
        mean_similarity: Of the plain means of both, or None where the gallery keeps no images.
        usability: What can be expected of the person's template.
        warnings: As for `Verification`.
    """

    person_id: str
    name: str
    similarity: float
    threshold: float | None
    is_match: bool | None
    mean_similarity: float | None
    usability: Usability
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FusedAnswer:
    """A template and what became of the images.

    Args:
        template: The template.
        state: The state as base64, to which images can be added elsewhere; None where there is none.
        images: What each image counts, the heaviest first; () where it is not known.
        skipped: Images that were left out.
        problems: What there is to warn of, in words.
        screening: Whether the images are of one person, or None.
        usability: What can be expected of the template, or None.
        beside: The person it was to be compared with, or None.
    """

    template: TemplateAnswer
    state: str | None
    images: tuple[ImageCount, ...]
    skipped: tuple[Left, ...]
    problems: tuple[str, ...]
    screening: str | None
    usability: Usability | None
    beside: Beside | None = None


@dataclass(frozen=True, kw_only=True)
class SessionAnswer:
    """A session.

    Args:
        id: What names it.
        num_images: Images that can be used so far.
        skipped: Images that were left out by what was sent last.
    """

    id: str
    num_images: int
    skipped: tuple[Left, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two sets side by side; as `Verification`. A set that is not usable is told in `problems`."""

    similarity: float
    num_images: tuple[int, int]
    threshold: float | None
    is_match: bool | None
    why_none: str | None
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    usability: tuple[Usability, Usability]
    skipped: tuple[Left, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Named:
    """A person by id and name. Paths take both; a name with a slash, or "." and "..", goes by its id alone."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Searched(SearchResult):
    """A search, and what became of the images that were sent."""

    skipped: tuple[Left, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Taken(Added):
    """What was added to a person, and what there is to warn of in the images that were sent."""

    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verified(Verification):
    """A verification, and what became of the images that were sent."""

    skipped: tuple[Left, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Explained(MatchExplanation):
    """What carried a match, and what became of the images that were sent."""

    skipped: tuple[Left, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """People in the order of their names, and where to go on.

    Args:
        people: Their ids and names.
        next: The cursor of what follows, or None at the end.
        total: Of all.
    """

    people: tuple[Named, ...]
    next: str | None
    total: int


def template_answer(template: Template) -> TemplateAnswer:
    """A template for an answer."""
    vector = np.asarray(template.vector, "<f4")
    return TemplateAnswer(
        base64=base64.b64encode(vector.tobytes()).decode(),
        dim=len(vector),
        num_images=template.num_images,
        fuser=template.fuser,
        embedder=template.embedder,
        usability=template.usability,
    )


def fused_answer(fused: Fused, *, with_state: bool, beside: Beside | None = None) -> FusedAnswer:
    """What was fused, for an answer."""
    knows_weights = fused.template.weights is not None and fused.similarities is not None
    return FusedAnswer(
        template=template_answer(fused.template),
        state=base64.b64encode(fused.state.to_bytes()).decode()
        if with_state and fused.state is not None
        else None,
        images=tuple(
            ImageCount(source=item.source, weight=item.weight, similarity=item.similarity)
            for item in (fused.explain() if knows_weights else ())
        ),
        skipped=skipped_facts(fused.skipped),
        problems=fused.problems,
        screening=None if fused.screening is None else str(fused.screening),
        usability=fused.usability,
        beside=beside,
    )


def skipped_facts(skipped: Any) -> tuple[Left, ...]:
    """Images that were left out, for an answer."""
    return tuple(Left(source=item.source, reason=item.reason) for item in skipped)
