"""A snapshot of a collection in SQL tables, the same over every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from probefusion.errors import ConfigError, StoreError, UnknownNameError
from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    HeldReason,
    ImageRow,
    LinkRow,
    ModelRow,
    PersonRow,
    ReceiptRow,
    VectorRow,
)
from probefusion.gallery.stores.sql_rows import (
    AUDIT,
    CHANGES,
    CHIPS,
    CONTRIBUTIONS,
    IMAGES,
    LINKS,
    MAX_ID_BYTES,
    MODELS,
    PAYLOADS,
    PEOPLE,
    REASONS,
    RECEIPTS,
    VECTORS,
    Table,
    name_hash,
    storable,
)
from probefusion.gallery.stores.store import Reader

__all__ = ["Session", "SqlReader", "embedder_key", "find_collection"]

Row = TypeVar("Row")


class Session(ABC):
    """One transaction on one connection. In statements `?` stands for a value.

    Attributes:
        ended: Whether the block that it belongs to is over.
        failed: Whether the database refused a statement, so that nothing of the block can be kept.
    """

    ended: bool = False
    failed: bool = False

    @contextmanager
    def using(self, translated: AbstractContextManager[None]) -> Iterator[None]:
        """Lets statements through, in this context, as long as the transaction is whole.

        Raises:
            ConfigError: If the block is over.
            StoreError: If a statement failed before.
        """
        if self.ended:
            raise ConfigError(
                "the block that this reader or writer belongs to is over; open a new one"
            )
        if self.failed:
            raise StoreError(
                "an earlier statement of this block failed; nothing was changed by the block"
            )
        try:
            with translated:
                yield
        except BaseException:
            self.failed = True
            raise

    @abstractmethod
    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""

    @abstractmethod
    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows that a statement gives, some at a time."""

    @abstractmethod
    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives the number of rows that it changed."""

    @abstractmethod
    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement once for each row of values."""


def find_collection(session: Session, name: str, *, lock: str = "") -> tuple[int, int]:
    """Number and revision of a collection.

    Args:
        session: A transaction.
        name: Of the collection.
        lock: What follows the statement where the row is to be locked.

    Raises:
        UnknownNameError: If there is no such collection.
    """
    statement = f"SELECT number, revision FROM collections WHERE name = ? {lock}"  # noqa: S608 - own words
    rows = session.rows(statement, (name,)) if storable(name) else []
    if not rows:
        known = [row[0] for row in session.rows("SELECT name FROM collections")]
        raise UnknownNameError("collection", name[:MAX_ID_BYTES], known)
    return rows[0][0], rows[0][1]


def embedder_key(embedder: str | None) -> str:
    """How the tables name an embedder: nobody said is an empty text.

    Raises:
        ConfigError: If the name is empty.
    """
    if embedder == "":
        raise ConfigError("embedder: expected a fingerprint or None, got an empty text")
    return embedder or ""


class SqlReader(Reader):
    """A collection in SQL tables at one moment.

    Args:
        session: Its transaction.
        collection: Name of the collection.
        number: Its number in the tables.
        revision: Its revision.
    """

    def __init__(self, session: Session, *, collection: str, number: int, revision: int) -> None:
        self.collection = collection
        self.revision = revision
        self._session = session
        self._number = number

    def people(self, *, shown_only: bool = True) -> Iterator[PersonRow]:
        """People in the order of their ids."""
        return self._stream(PEOPLE, f"{'AND shown = 1' if shown_only else ''} ORDER BY id")

    def person(self, person_id: str) -> PersonRow | None:
        """The person of an id, shown or not."""
        return self._one(PEOPLE, "AND id = ?", person_id)

    def person_named(self, name: str) -> PersonRow | None:
        """The person who is shown under a name; names are compared code point by code point."""
        if not storable(name):
            return None
        return self._one(PEOPLE, "AND name_hash = ? AND shown = 1", name_hash(name))

    def contributions(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What a person has now, in the order of the ids."""
        return self._all(CONTRIBUTIONS, "AND person_id = ? ORDER BY id", person_id)

    def taken_out(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What nobody has now and the person had last, in the order of the ids."""
        rest = "AND person_id IS NULL AND last_person = ? ORDER BY id"
        return self._all(CONTRIBUTIONS, rest, person_id)

    def contribution(self, contribution_id: str) -> ContributionRow | None:
        """The contribution of an id."""
        return self._one(CONTRIBUTIONS, "AND id = ?", contribution_id)

    def reasons(self, contribution_id: str) -> tuple[HeldReason, ...]:
        """Why a contribution was held back; () if it was not, or nobody noted it."""
        row = self._one(REASONS, "AND contribution_id = ?", contribution_id)
        return () if row is None else row[1]

    def images(self, contribution_id: str) -> tuple[ImageRow, ...]:
        """Images of a contribution by their place; () where it keeps a state."""
        return self._all(IMAGES, "AND contribution_id = ? ORDER BY place", contribution_id)

    def image(self, image_id: str) -> ImageRow | None:
        """The image of an id."""
        return self._one(IMAGES, "AND id = ?", image_id)

    def payload(self, contribution_id: str, embedder: str | None) -> bytes | None:
        """The sealed features or state that a contribution has of an embedder, or None."""
        rest = "AND contribution_id = ? AND embedder = ?"
        row = self._one(PAYLOADS, rest, contribution_id, embedder_key(embedder))
        return None if row is None else row[2]

    def chip(self, image_id: str) -> bytes | None:
        """The sealed small picture of an image, or None."""
        row = self._one(CHIPS, "AND image_id = ?", image_id)
        return None if row is None else row[1]

    def vectors(self, model_id: str, *, after: int = -1) -> Iterator[VectorRow]:
        """Templates of a model that were written after a revision, those that are gone included.

        They come in the order of their revisions, then of the ids of the people.
        """
        rest = "AND model_id = ? AND revision > ? ORDER BY revision, person_id"
        return self._stream(VECTORS, rest, model_id, after)

    def vector(self, model_id: str, person_id: str) -> VectorRow | None:
        """The template of one person."""
        return self._one(VECTORS, "AND person_id = ? AND model_id = ?", person_id, model_id)

    def links(self) -> tuple[LinkRow, ...]:
        """Pairs of people who are known to be different, in the order of the ids."""
        return self._all(LINKS, "ORDER BY first, second")

    def models(self) -> tuple[ModelRow, ...]:
        """All models, in the order in which they were made."""
        return tuple(model for model, _ in self._all(MODELS, "ORDER BY number"))

    def changes(self, *, after: int = 0, newest_first: bool = False) -> Iterator[ChangeRow]:
        """Changes after a revision."""
        order = "DESC" if newest_first else "ASC"
        return self._stream(CHANGES, f"AND revision > ? ORDER BY revision {order}", after)

    def change(self, revision: int) -> ChangeRow | None:
        """The change that made a revision."""
        return self._one(CHANGES, "AND revision = ?", revision)

    def audit(self, *, after: int = 0) -> Iterator[bytes]:
        """Audit entries after a sequence number, as they were appended; the first is of number 1."""
        rows = self._stream(AUDIT, "AND sequence > ? ORDER BY sequence", after)
        return (entry for _, entry in rows)

    def last_audit(self) -> bytes | None:
        """The newest audit entry."""
        row = self._last_audit()
        return None if row is None else row[1]

    def receipts(self, *, pending_only: bool = False) -> tuple[ReceiptRow, ...]:
        """Receipts of forgetting, in the order in which they were made."""
        rest = f"{'AND status = ?' if pending_only else ''} ORDER BY number"
        rows = self._all(RECEIPTS, rest, *(("pending",) if pending_only else ()))
        return tuple(receipt for receipt, _ in rows)

    def count(self) -> dict[str, int]:
        """How many there are.

        Returns:
            "people" who are shown, "hidden" people, "contributions" (those taken out included), "images" that
            went into them, and "bytes" of payloads.
        """
        hidden = self._numbers("SELECT COUNT(*) FROM people WHERE collection = ? AND shown = 0")
        people = self._numbers("SELECT COUNT(*) FROM people WHERE collection = ? AND shown = 1")
        contributions = self._numbers(
            "SELECT COUNT(*), COALESCE(SUM(num_images), 0) FROM contributions WHERE collection = ?"
        )
        payloads = self._numbers(
            "SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM payloads WHERE collection = ?"
        )
        return {
            "people": people[0],
            "hidden": hidden[0],
            "contributions": contributions[0],
            "images": contributions[1],
            "bytes": payloads[0],
        }

    def check_rows(self) -> None:
        """Reads every row of the collection and compares its checksum.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        tables: tuple[Table[Any], ...] = (
            *(PEOPLE, CONTRIBUTIONS, REASONS, IMAGES, PAYLOADS, CHIPS, VECTORS),
            *(LINKS, MODELS, CHANGES, AUDIT, RECEIPTS),
        )
        for table in tables:
            for _ in self._stream(table, ""):
                pass

    def _last_audit(self) -> tuple[int, bytes] | None:
        return self._one(AUDIT, "ORDER BY sequence DESC LIMIT 1")

    def _numbers(self, statement: str) -> tuple[int, ...]:
        return tuple(int(value) for value in self._session.rows(statement, (self._number,))[0])

    def _one(self, table: Table[Row], rest: str, *values: Any) -> Row | None:
        rows = self._all(table, rest, *values)
        return rows[0] if rows else None

    def _all(self, table: Table[Row], rest: str, *values: Any) -> tuple[Row, ...]:
        if not all(storable(value) for value in values if isinstance(value, str)):
            return ()  # what cannot be written is not there
        rows = self._session.rows(table.select(rest), (self._number, *values))
        return tuple(table.read(self._number, row) for row in rows)

    def _stream(self, table: Table[Row], rest: str, *values: Any) -> Iterator[Row]:
        if not all(storable(value) for value in values if isinstance(value, str)):
            return
        for row in self._session.stream(table.select(rest), (self._number, *values)):
            yield table.read(self._number, row)
