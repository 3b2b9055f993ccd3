"""What a gallery remembers, row by row: people, contributions, images, links, models, changes, receipts.

Rows are plain facts without behaviour, the same for every store. Bytes in them are opaque to the store: the
gallery seals them before, and opens them after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = [
    "ChangeRow",
    "ContributionKind",
    "ContributionRow",
    "DamagedRow",
    "HeldReason",
    "ImageRow",
    "Keep",
    "LinkRow",
    "ModelRow",
    "ModelStatus",
    "NewContribution",
    "OnDamage",
    "PersonRow",
    "ReceiptRow",
    "VectorRow",
]

ContributionKind: TypeAlias = Literal["enrolment", "visit", "update"]
"""Why images were added: to make the person known, because the person was seen again, or by hand."""

Keep: TypeAlias = Literal["features", "state"]
"""What a contribution keeps of its images: the features of each, or the sum over them alone."""

OnDamage: TypeAlias = Literal["raise", "pass over", "as found"]
"""What becomes of damaged rows: an error; where many are read, all others; or what can be read of them."""

ModelStatus: TypeAlias = Literal["serving", "building", "kept"]
"""A model decides about searches, is being filled, or is kept so that one can go back to it."""


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    """A person of a collection.

    Args:
        id: Opaque, never given twice; what audit entries and receipts name.
        name: What users call the person; among people who are shown each name stands once.
        shown: Whether the person is listed and searched; False once removed, or merged into another.
        ignored: Whether matches with the person are not to be acted on.
        key_id: Of the key that seals the person's vectors, or None where nothing is sealed.
        created: UTC time, ISO 8601.
    """

    id: str
    name: str
    shown: bool = True
    ignored: bool = False
    key_id: str | None = None
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class ContributionRow:
    """What was added at one time. All but `person_id` and `last_person` never changes.

    Args:
        id: Opaque, never given twice.
        person_id: Whose it is now, or None once taken out.
        last_person: Whose it was last; never None.
        kind: Why it was added.
        keep: What it keeps.
        num_images: Images that went in, those left out since included; >= 1.
        time: UTC time, ISO 8601, as given or of the clock; not trusted for any order.
        source: Camera, folder or anything else that says where from; "" if unknown.
        key_id: Of the key that seals its payloads, or None.
    """

    id: str
    person_id: str | None
    last_person: str
    kind: ContributionKind
    keep: Keep
    num_images: int
    time: str
    source: str = ""
    key_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DamagedRow:
    """A row that is not what was written, as its checksum or its seal says.

    Args:
        table: Where it stands: "people", "contributions", "images", "payloads" and so on.
        key: What tells it from others of the table, as it was read: it may be damaged itself.
        contribution_id: The contribution that it is of, as far as that can be told, or None.
        person_id: The person who has or had it, as far as that can be told, or None.
    """

    table: str
    key: str
    contribution_id: str | None = None
    person_id: str | None = None

    def __str__(self) -> str:
        """In words."""
        owner = "" if self.person_id is None else f" of person {self.person_id}"
        part = "" if self.contribution_id is None else f"contribution {self.contribution_id}{owner}"
        whose = part or (owner.removeprefix(" of ") or "nobody that could be told")
        return f"{whose}: row {self.key} of {self.table} was damaged (checksum or seal)"


@dataclass(frozen=True, kw_only=True)
class HeldReason:
    """Why a contribution was held back, as it was told then.

    Args:
        kind: What is wrong, in a few words that are always the same.
        words: The reason, with numbers; "{other}" stands where it names the other person.
        other: Id of the other person, or None.
    """

    kind: str
    words: str
    other: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """One image of a contribution that keeps features.

    Args:
        id: Unique in the collection.
        contribution_id: Where it belongs to.
        place: Its row in the contribution's features, from 0.
        source: File name or anything else that names it; "" if unknown.
        media_id: The still or video that it comes from; "" if unknown.
        left_out: Whether it was taken out.
    """

    id: str
    contribution_id: str
    place: int
    source: str = ""
    media_id: str = ""
    left_out: bool = False


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    """Two people who are known to be different: they are never merged. `first < second`."""

    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """An embedder and a fuser together.

    Args:
        id: Opaque.
        embedder: Fingerprint of the embedder, or None where nobody said what made the embeddings.
        fuser: Fingerprint of the fuser.
        fuser_source: Name or folder to load the fuser from.
        dim: D of the embeddings.
        status: What it is used for; a collection has one that serves.
        created: UTC time, ISO 8601.
    """

    id: str
    embedder: str | None
    fuser: str
    fuser_source: str
    dim: int
    status: ModelStatus
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class VectorRow:
    """The template of a person by one model.

    Args:
        person_id: Whose.
        model_id: By which model.
        vector: The sealed template, or None: the person is not to be found any more.
        num_images: Images in it.
        revision: Revision of the collection that wrote it.
    """

    person_id: str
    model_id: str
    vector: bytes | None
    num_images: int
    revision: int


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One change of a collection, with what undoes it.

    Args:
        revision: Of the collection after it.
        time: UTC time, ISO 8601.
        actor: Who made it; "" if unknown.
        action: What was done: "enroll", "update", "merge", "undo" and so on.
        subjects: Ids of the people and contributions concerned.
        edits: What it replaced, as the gallery wrote it: plain values that JSON can hold. Emptied by forgetting.
        undoes: Revision of the change that it undoes, or None.
        undone_by: Revision of the change that undid it, or None.
    """

    revision: int
    time: str
    actor: str
    action: str
    subjects: tuple[str, ...] = ()
    edits: tuple[dict[str, Any], ...] = field(default=())
    undoes: int | None = None
    undone_by: int | None = None


@dataclass(frozen=True, kw_only=True)
class ReceiptRow:
    """What became of a request to forget.

    "erased" speaks of this database and its file of keys. In copies made before, what was sealed cannot be read any
    more, names and sources included; without keys they keep all that they hold.

    Args:
        id: Opaque.
        time: UTC time of the request, ISO 8601.
        subject: Opaque id of the person or contribution.
        status: "pending" while bytes may still lie somewhere that this store reaches; then "erased".
        finished: UTC time at which it was erased, or "".
        remaining: What still keeps bytes, in words; () once erased.
        key_ids: Keys to destroy.
    """

    id: str
    time: str
    subject: str
    status: Literal["pending", "erased"]
    finished: str = ""
    remaining: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewContribution:
    """A contribution that is added with many others.

    Args:
        row: Its row; its id was never given before.
        images: Its images; () where it keeps a state.
        payload: What it keeps, sealed.
        embedder: Of what embedder that is.
        chips: Small pictures of its images, sealed, by their ids.
    """

    row: ContributionRow
    images: tuple[ImageRow, ...]
    payload: bytes
    embedder: str | None
    chips: tuple[tuple[str, bytes], ...] = ()
