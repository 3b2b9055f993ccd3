"""What galleries answer: enrolments, searches, verifications, changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from probefusion.gallery.stores.records import Keep
from probefusion.types import Usability

__all__ = [
    "Added",
    "Doubt",
    "DoubtKind",
    "Likeness",
    "Loaded",
    "Merged",
    "RankedPerson",
    "SearchResult",
    "Verification",
]

DoubtKind: TypeAlias = Literal[
    "closer to another person",
    "unlike the person",
    "several people",
    "there under another name",
    "not compared",
]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Why images were held back.

    Args:
        kind: What is wrong.
        reason: In words, with numbers.
        other: Id of the person to whom the images are closer, or None.
        words: The reason with "{other}" in place of that person's name, which may change; "" if it names nobody.
    """

    kind: DoubtKind
    reason: str
    other: str | None = None
    words: str = ""

    def __str__(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike two people are, or images and a person, by the templates of the two.

    Args:
        similarity: Cosine between the two, in [-1, 1].
        usual: Similarity that is usual for one person with images so many and so good; None for fusers of which that
            was not measured.
        odds_for_two: Logarithm of the odds that they are two people, as far as the similarity tells: below 0 it
            speaks for one person, above 2 visits are held back; None as for `usual`.
    """

    similarity: float
    usual: float | None = None
    odds_for_two: float | None = None

    def __str__(self) -> str:
        """In a few words, as `similarity 0.670, where 0.65 is usual for one person`."""
        told = f"similarity {self.similarity:.3f}"
        return (
            told
            if self.usual is None
            else f"{told}, where {self.usual:.2f} is usual for one person"
        )


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Two people who were made one.

    Args:
        person_id: Who has the images of both now.
        name: Name of that person.
        other: Name of the person who is not shown any more.
        revision: Of the collection after it; what `undo` takes.
        likeness: How alike the two were before; None if one of them had no image that counts.
    """

    person_id: str
    name: str
    other: str
    revision: int
    likeness: Likeness | None = None

    def __str__(self) -> str:
        """In a line."""
        told = "" if self.likeness is None else f" ({self.likeness})"
        return f"{self.other} is merged into {self.name}{told}"


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of images that were added to a person.

    Args:
        person_id: Whose.
        name: Name of the person.
        contribution_id: Of what was added.
        keep: What is kept of it.
        num_images: Images that were added.
        total_images: Images of the person after it; those that are held do not count.
        revision: Of the collection after it; what `undo` takes.
        is_held: Whether the images are held back until somebody accepts or rejects them.
        doubts: Why they are held, or would have been without `guard=False`; of an enrolment what there is to warn of.
        skipped: Images that the pipeline could not use, in words.
        likeness: Of what was held and is accepted now: how alike it and the person were; None otherwise, or if the
            person had no image that counts.
        usability: What can be expected of a template of these images alone; None of what was held and is accepted now.
        warnings: That the images are not usable.
    """

    person_id: str
    name: str
    contribution_id: str
    keep: Keep
    num_images: int
    total_images: int
    revision: int
    is_held: bool = False
    doubts: tuple[Doubt, ...] = ()
    skipped: tuple[str, ...] = ()
    likeness: Likeness | None = None
    usability: Usability | None = None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In a line."""
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        what = "held back" if self.is_held else "added"
        why = "".join(f"; {doubt}" for doubt in (*self.doubts, *self.warnings))
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.name}: {images} {what}{skipped}, {self.total_images} in all{why}"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of many people who were loaded.

    Args:
        num_people: People who were added.
        num_contributions: Their contributions.
        num_images: Images of them.
        skipped: Names that were there already and were passed over.
        revisions: Of the changes, one a batch; what `undo` takes.
        not_usable: Names of people who were added with a template that is not usable.
    """

    num_people: int
    num_contributions: int
    num_images: int
    skipped: tuple[str, ...] = ()
    revisions: tuple[int, ...] = ()
    not_usable: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In a line."""
        there = f", {len(self.skipped)} were there" if self.skipped else ""
        poor = f", {len(self.not_usable)} of them are not usable" if self.not_usable else ""
        return f"{self.num_people} people of {self.num_images} images added{poor}{there}"


@dataclass(frozen=True, kw_only=True)
class RankedPerson:
    """A person of the gallery beside a query.

    Args:
        person_id, name: Who.
        similarity: Cosine between the two templates, in [-1, 1].
        num_images: Images of the person.
        threshold: Similarity from which on it is a match, for these two; None where there is none.
        is_match: Whether it reaches the threshold; None where there is none.
        is_ignored: Whether matches with the person are not to be acted on.
        warnings: Where the two lie outside what the calibration saw, or the person's images are poorer than those that
            the threshold was verified for.
        usability: What can be expected of the person's template, of a match by a measured threshold; None of others.
    """

    person_id: str
    name: str
    similarity: float
    num_images: int
    threshold: float | None = None
    is_match: bool | None = None
    is_ignored: bool = False
    warnings: tuple[str, ...] = ()
    usability: Usability | None = None


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Whom a query is most similar to.

    Args:
        candidates: The most similar people first.
        num_images: Images of the query.
        gallery_size: People it was searched among.
        false_match_rate, false_positive_rate: Rate per comparison, or per search among so many, of the thresholds.
        why_none: Why there is no threshold, or None.
        model_id: Which model's templates were compared.
        revision: Revision of the collection that was searched.
        warnings: That the query is not usable, or poorer than what the thresholds were verified for, or that this is
            not known; who could not be searched for, as a row was damaged.
        usability: What can be expected of the query's template.
        num_damaged: People who could not be searched for.
    """

    candidates: tuple[RankedPerson, ...]
    num_images: int
    gallery_size: int
    false_match_rate: float | None
    false_positive_rate: float | None
    why_none: str | None
    model_id: str | None
    revision: int
    usability: Usability
    warnings: tuple[str, ...] = ()
    num_damaged: int = 0

    @property
    def match(self) -> RankedPerson | None:
        """The most similar person who reaches the threshold, ignored or not; None if nobody does."""
        return next((person for person in self.candidates if person.is_match), None)

    @property
    def name(self) -> str | None:
        """Name of the match, or None."""
        return None if self.match is None else self.match.name

    def __str__(self) -> str:
        """The first candidate in a few words, as `lin 0.670 (match)`."""
        if not self.candidates:
            return "nobody (the gallery is empty)" if not self.gallery_size else "nobody"
        first = self.match or self.candidates[0]
        word = {None: "no threshold", True: "match", False: "no match"}[first.is_match]
        return f"{first.name} {first.similarity:.3f} ({word})"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Whether images are of a named person.

    Args:
        person_id, name: Who.
        similarity: Cosine between the two templates.
        num_images: Images of the query and of the person.
        threshold: Similarity from which on it is accepted, or None.
        false_match_rate: Rate that it was asked for, or None.
        is_match: Whether it is reached; None where there is none.
        why_none: Why there is none, or None.
        warnings: As for `RankedPerson`, and that the query is not usable, or poorer than what the threshold was
            verified for.
        usability: What can be expected of the template of the query, and of the person.
    """

    person_id: str
    name: str
    similarity: float
    num_images: tuple[int, int]
    threshold: float | None
    false_match_rate: float | None
    is_match: bool | None
    usability: tuple[Usability, Usability]
    why_none: str | None = None
    warnings: tuple[str, ...] = ()
