"""What a gallery asks of the place where it lies: SQLite and PostgreSQL answer alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    DamagedRow,
    HeldReason,
    ImageRow,
    LinkRow,
    ModelRow,
    NewContribution,
    OnDamage,
    PersonRow,
    ReceiptRow,
    VectorRow,
)
from probefusion.gallery.stores.sealed_texts import TextSeal

__all__ = ["Reader", "Store", "Writer"]


class Reader(ABC):
    """One collection as it was at one moment: all answers belong to one revision.

    Attributes:
        collection: Name of the collection.
        revision: Its revision; 0 for a collection that nothing was written to.
        on_damage: What becomes of damaged rows. "pass over" is for `people`, `vectors`, `changes` and `receipts`, which
            go on with the others; all else raises `IntegrityError` or `SealError` still. "as found" is for erasing.
        damaged: Damaged rows that were met and did not raise.
    """

    collection: str
    revision: int
    on_damage: OnDamage = "raise"
    damaged: list[DamagedRow]

    @abstractmethod
    def people(self, *, shown_only: bool = True) -> Iterator[PersonRow]:
        """People in the order of their ids."""

    @abstractmethod
    def person(self, person_id: str) -> PersonRow | None:
        """The person of an id, shown or not."""

    @abstractmethod
    def person_named(self, name: str) -> PersonRow | None:
        """The person who is shown under a name; names are compared code point by code point."""

    @abstractmethod
    def all_named(self, name: str) -> tuple[PersonRow, ...]:
        """Everybody of a name, shown or not, in the order of the ids."""

    @abstractmethod
    def names_there(self, names: Sequence[str]) -> frozenset[str]:
        """Those of some names under which somebody is shown."""

    @abstractmethod
    def contributions(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What a person has now, in the order of the ids."""

    @abstractmethod
    def taken_out(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What nobody has now and the person had last."""

    @abstractmethod
    def contribution(self, contribution_id: str) -> ContributionRow | None:
        """The contribution of an id."""

    @abstractmethod
    def reasons(self, contribution_id: str) -> tuple[HeldReason, ...]:
        """Why a contribution was held back; () if it was not, or nobody noted it."""

    @abstractmethod
    def images(self, contribution_id: str) -> tuple[ImageRow, ...]:
        """Images of a contribution by their place; () where it keeps a state."""

    @abstractmethod
    def image(self, image_id: str) -> ImageRow | None:
        """The image of an id."""

    @abstractmethod
    def payload(self, contribution_id: str, embedder: str | None) -> bytes | None:
        """The sealed features or state that a contribution has of an embedder, or None."""

    @abstractmethod
    def chip(self, image_id: str) -> bytes | None:
        """The sealed small picture of an image, or None."""

    @abstractmethod
    def with_chips(self, contribution_id: str) -> frozenset[str]:
        """Ids of the images of a contribution that have a small picture."""

    @abstractmethod
    def vectors(self, model_id: str, *, after: int = -1) -> Iterator[VectorRow]:
        """Templates of a model that were written after a revision, those that are gone included."""

    @abstractmethod
    def vector(self, model_id: str, person_id: str) -> VectorRow | None:
        """The template of one person."""

    @abstractmethod
    def count_templates(self, model_id: str) -> int:
        """How many people have a template by a model."""

    @abstractmethod
    def without_payload(self, embedder: str | None) -> tuple[str, ...]:
        """Ids of contributions of people who are shown that keep nothing of an embedder."""

    @abstractmethod
    def links(self) -> tuple[LinkRow, ...]:
        """Pairs of people who are known to be different."""

    @abstractmethod
    def models(self) -> tuple[ModelRow, ...]:
        """All models, in the order in which they were made."""

    @abstractmethod
    def changes(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = False,
        actions: Sequence[str] = (),
        about: Sequence[str] = (),
    ) -> Iterator[ChangeRow]:
        """Changes after a revision.

        Args:
            after: The revision.
            before: Only changes before this revision; None for all.
            newest_first: Whether they come in the other order.
            actions: Only such actions; () for all.
            about: Only changes whose edits hold one of these ids, and perhaps some more; () for all.
        """

    @abstractmethod
    def forgotten(self) -> tuple[tuple[str, ...], tuple[ContributionRow, ...]]:
        """What was forgotten and came back with an older database: ids of people, and contributions (their own not).

        Nothing else shows it.
        """

    @abstractmethod
    def damaged_rows(self) -> Iterator[DamagedRow]:
        """Reads every row of the collection; gives those that are not what was written."""

    @abstractmethod
    def change(self, revision: int) -> ChangeRow | None:
        """The change that made a revision."""

    @abstractmethod
    def audit(self, *, after: int = 0) -> Iterator[bytes]:
        """Audit entries after a sequence number, as they lie there: the chain itself tells damage."""

    @abstractmethod
    def last_audit(self) -> bytes | None:
        """The newest audit entry, as it lies there."""

    @abstractmethod
    def audit_length(self) -> int:
        """Number of the newest audit entry; 0 if there is none."""

    @abstractmethod
    def receipts(self, *, pending_only: bool = False) -> tuple[ReceiptRow, ...]:
        """Receipts of forgetting, oldest first."""

    @abstractmethod
    def count(self) -> dict[str, int]:
        """How many there are: "people", "hidden", "contributions", "images", "bytes" (of payloads)."""


class Writer(Reader):
    """One collection while one process alone changes it: reads see what was written.

    `revision` is that of the collection after the change: one more than before, once `put_change` was called. A
    block that ends without `put_change` writes nothing.
    """

    @abstractmethod
    def put_person(self, person: PersonRow) -> None:
        """Adds or replaces a person.

        Raises:
            ConfigError: If another person is shown under that name.
        """

    @abstractmethod
    def add_contribution(
        self,
        contribution: ContributionRow,
        images: Sequence[ImageRow],
        payload: bytes,
        embedder: str | None,
    ) -> None:
        """Adds a contribution with its images and what it keeps.

        Raises:
            ConfigError: If an id is there already.
        """

    @abstractmethod
    def add_people(
        self,
        people: Sequence[PersonRow],
        contributions: Sequence[NewContribution],
        vectors: Sequence[VectorRow],
    ) -> None:
        """Adds many people who were never there, with contributions and templates, in few statements.

        Raises:
            ConfigError: If one is shown under a name that somebody has, or a text cannot be stored.
            StoreError: If an id is there already.
        """

    @abstractmethod
    def put_reasons(self, contribution_id: str, reasons: Sequence[HeldReason]) -> None:
        """Notes why a contribution is held back."""

    @abstractmethod
    def place(self, contribution_id: str, person_id: str | None) -> None:
        """Gives a contribution to a person, or to nobody; `last_person` follows."""

    @abstractmethod
    def leave_out(self, image_id: str, left_out: bool) -> None:
        """Takes an image out of its contribution, or in again."""

    @abstractmethod
    def put_payload(
        self, contribution_id: str, embedder: str | None, payload: bytes, key_id: str | None
    ) -> None:
        """Adds or replaces what a contribution keeps of an embedder; the key is that of all its payloads."""

    @abstractmethod
    def put_chip(self, image_id: str, chip: bytes) -> None:
        """Adds or replaces the small picture of an image."""

    @abstractmethod
    def put_vector(self, vector: VectorRow) -> None:
        """Adds or replaces a template."""

    @abstractmethod
    def put_link(self, link: LinkRow) -> None:
        """Adds a pair; nothing happens if it is there."""

    @abstractmethod
    def drop_link(self, link: LinkRow) -> None:
        """Takes a pair away."""

    @abstractmethod
    def put_model(self, model: ModelRow) -> None:
        """Adds or replaces a model."""

    @abstractmethod
    def drop_model(self, model_id: str) -> None:
        """Takes a model and all its templates away."""

    @abstractmethod
    def put_change(self, change: ChangeRow) -> None:
        """Adds a change, or replaces that of its revision; a new one must be of revision `revision`."""

    @abstractmethod
    def append_audit(self, sequence: int, entry: bytes) -> None:
        """Adds an audit entry; `sequence` must be one more than the last."""

    @abstractmethod
    def put_receipt(self, receipt: ReceiptRow) -> None:
        """Adds or replaces a receipt."""

    @abstractmethod
    def take_as_found(self) -> None:
        """For erasing in a damaged collection: rows are read as they lie there, and found whatever became of them."""

    @abstractmethod
    def key_ids(self, subject: str) -> tuple[str, ...]:
        """Ids of all keys that rows of a person or contribution name, in every place where they do."""

    @abstractmethod
    def erase_contribution(self, contribution_id: str) -> None:
        """Deletes a contribution with its images, payloads and chips."""

    @abstractmethod
    def erase_person(self, person_id: str) -> None:
        """Deletes a person with templates (marks stay that say they are gone) and links."""


class Store(ABC):
    """A database of collections. One object may be used by several threads.

    Attributes:
        address: Path or URL, without a password.
    """

    address: str

    @abstractmethod
    def collections(self) -> tuple[str, ...]:
        """Names of the collections."""

    @abstractmethod
    def create(self, collection: str) -> bool:
        """Makes a collection unless it is there; says whether it was made."""

    @abstractmethod
    def drop(self, collection: str) -> None:
        """Deletes a collection with everything in it."""

    @abstractmethod
    def reading(self, collection: str) -> AbstractContextManager[Reader]:
        """One snapshot, for the time of the block.

        Raises:
            UnknownNameError: If there is no such collection.
        """

    @abstractmethod
    def writing(self, collection: str) -> AbstractContextManager[Writer]:
        """The only writer of a collection, for the time of the block; waits for others.

        What was written is kept if the block ends, and gone if it raises; once the block has ended, it is on the
        disk.

        Raises:
            UnknownNameError: If there is no such collection.
            StoreBusyError: If others wrote for longer than the store waits.
            OSError: If the disk is full or cannot be written; nothing was changed.
        """

    @abstractmethod
    def revision(self, collection: str) -> int:
        """The newest revision, cheaply."""

    @abstractmethod
    def wait(self, collection: str, *, after: int, timeout: float) -> int:
        """Waits until a revision after `after` is there, at most `timeout` seconds; gives the newest."""

    @abstractmethod
    def overwrite(self) -> tuple[str, ...]:
        """Overwrites what was deleted, as far as this store reaches; says what still keeps bytes, in words."""

    @abstractmethod
    def check(self) -> None:
        """Reads the whole database and compares each row with its checksum.

        Raises:
            FileFormatError: If the database is damaged.
            IntegrityError: If a row is not what was written.
        """

    @abstractmethod
    def use_texts(self, texts: TextSeal) -> None:
        """From now on names and sources are sealed before they are written, and opened when they are read."""

    @abstractmethod
    def seal_texts(self, fact: str, value: str) -> bool:
        """Seals all names and sources that stand plain, and sets a fact that says so; False if none did."""

    @abstractmethod
    def facts(self, name: str) -> str | None:
        """A fact about the whole database, as "key_fingerprint"; None if it was never set."""

    @abstractmethod
    def set_fact(self, name: str, value: str) -> None:
        """Sets a fact about the whole database."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of all files and connections; further use raises `ConfigError`."""
