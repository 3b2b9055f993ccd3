"""What galleries show of what they hold: people, their contributions and images, models, numbers."""

from __future__ import annotations

from dataclasses import dataclass

from probefusion.gallery.results import Doubt
from probefusion.gallery.stores.records import ContributionKind, Keep, ModelStatus

__all__ = [
    "ContributionView",
    "ImageView",
    "ModelView",
    "PersonView",
    "RemovedPerson",
    "Stats",
]


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """An image of a contribution.

    Args:
        id: Its id; what `remove` takes.
        source: What names it, or "".
        media_id: The still or video it comes from, or "".
        is_left_out: Whether it was taken out.
        has_chip: Whether there is a small picture of the face, see `Gallery.chip`.
    """

    id: str
    source: str
    media_id: str
    is_left_out: bool
    has_chip: bool = False


@dataclass(frozen=True, kw_only=True)
class ContributionView:
    """What was added to a person at one time.

    Args:
        id: Its id.
        kind: Why it was added.
        keep: What is kept of it.
        time: UTC time, ISO 8601.
        source: Where from, or "".
        num_images: Images that went in, those left out since included.
        images: Its images; () where the state alone is kept.
        doubts: Of what is held back: why, as it was told then; () if nobody noted it.
    """

    id: str
    kind: ContributionKind
    keep: Keep
    time: str
    source: str
    num_images: int
    images: tuple[ImageView, ...] = ()
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PersonView:
    """A person of the gallery.

    Args:
        id: Opaque, never given twice.
        name: Name.
        num_images: Images in the template; 0 if there is none.
        is_ignored: Whether matches are not to be acted on.
        created: UTC time, ISO 8601.
        contributions: What the person has, by time.
        different_from: Names of people who are known to be different.
    """

    id: str
    name: str
    num_images: int
    is_ignored: bool
    created: str
    contributions: tuple[ContributionView, ...] = ()
    different_from: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RemovedPerson:
    """Somebody who is not shown any more, of whom all is still kept.

    Args:
        id: Opaque id, as `forget` takes it.
        name: Name.
        created: UTC time, ISO 8601.
        merged_into: Id of the person who has what this one had, or "" if it was not merged.
    """

    id: str
    name: str
    created: str
    merged_into: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """An embedder and a fuser together.

    Args:
        id: Opaque.
        embedder: Fingerprint, or None if nobody said it.
        fuser: Fingerprint.
        dim: D of the embeddings.
        status: "serving", "building" or "kept".
        num_people: People who have a template by it.
        num_missing: Contributions of people who are shown that it cannot use yet.
    """

    id: str
    embedder: str | None
    fuser: str
    dim: int
    status: ModelStatus
    num_people: int
    num_missing: int


@dataclass(frozen=True, kw_only=True)
class Stats:
    """How much a collection holds.

    Args:
        collection: Its name.
        revision: Its revision: how many changes were made.
        num_people: People who are shown.
        num_hidden: People who were removed or merged into others.
        num_contributions, num_images: Contributions of anybody or nobody, and images of them.
        num_held: Contributions that wait to be accepted or rejected.
        num_bytes: Bytes of what contributions keep.
        is_encrypted: Whether it is sealed by keys.
        model: The model that serves, or None before the first enrolment.
        damaged: Rows that were damaged, and whose they are, in words.
    """

    collection: str
    revision: int
    num_people: int
    num_hidden: int
    num_contributions: int
    num_images: int
    num_held: int
    num_bytes: int
    is_encrypted: bool
    model: ModelView | None
    damaged: tuple[str, ...] = ()
