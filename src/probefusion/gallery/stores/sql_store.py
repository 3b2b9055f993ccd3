"""A gallery in SQL tables: what SQLite and PostgreSQL do alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from probefusion.gallery.stores.schema import TABLES
from probefusion.gallery.stores.sealed_texts import PlainTexts, SealedTexts, TextSeal
from probefusion.gallery.stores.session import Session
from probefusion.gallery.stores.sql_reader import SqlReader, find_collection
from probefusion.gallery.stores.sql_table import (
    check_id,
    check_text,
    storable,
)
from probefusion.gallery.stores.sql_writer import SqlWriter
from probefusion.gallery.stores.store import Reader, Store, Writer

__all__ = ["SqlStore"]

S = TypeVar("S", bound=Session)

_PUT_FACT = (
    "INSERT INTO facts (name, value) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class SqlStore(Store, Generic[S]):
    """A gallery in SQL tables, over the transactions of one kind of database."""

    _lock: ClassVar[str] = ""
    """What follows the statement that finds a collection to be changed."""

    def __init__(self) -> None:
        self._texts: TextSeal = PlainTexts()

    @abstractmethod
    def reads(self) -> AbstractContextManager[S]:
        """A transaction that changes nothing, for the time of the block."""

    @abstractmethod
    def changes(self, *, keep: bool = True) -> AbstractContextManager[S]:
        """A transaction that may change things; it is kept if the block ends and its session says so."""

    def use_texts(self, texts: TextSeal) -> None:
        """From now on names and sources are sealed before they are written, and opened when they are read."""
        self._texts = texts

    def collections(self) -> tuple[str, ...]:
        """Names of the collections, in order."""
        with self.reads() as session:
            rows = session.rows("SELECT name FROM collections ORDER BY name")
        return tuple(name for (name,) in rows)

    def create(self, collection: str) -> bool:
        """Makes a collection unless it is there; says whether it was made.

        Raises:
            ConfigError: If the name is empty, too long, or cannot be stored.
        """
        check_id(collection, name="collection")
        statement = (
            "INSERT INTO collections (name, revision) VALUES (?, 0) ON CONFLICT (name) DO NOTHING"
        )
        with self.changes() as session:
            return session.run(statement, (collection,)) == 1

    def drop(self, collection: str) -> None:
        """Deletes a collection with everything in it.

        Raises:
            UnknownNameError: If there is no such collection.
        """
        with self.changes() as session:
            number, _ = find_collection(session, collection, lock=self._lock)
            for table in TABLES:
                session.run(f"DELETE FROM {table} WHERE collection = ?", (number,))  # noqa: S608 - own names
            session.run("DELETE FROM collections WHERE number = ?", (number,))

    @contextmanager
    def reading(self, collection: str) -> Iterator[Reader]:
        """One snapshot, for the time of the block.

        Raises:
            UnknownNameError: If there is no such collection.
        """
        with self.reads() as session:
            yield SqlReader(session, **self._found(session, collection))

    @contextmanager
    def writing(self, collection: str) -> Iterator[Writer]:
        """The only writer of a collection, for the time of the block; waits for others.

        Raises:
            UnknownNameError: If there is no such collection.
            StoreBusyError: If others wrote for longer than `timeout`.
            StoreError: If it cannot be kept; the message says what became of the change.
        """
        with self.changes(keep=False) as session:
            found = self._found(session, collection, lock=self._lock)
            found["revision"] += 1
            writer = SqlWriter(session, **found)
            yield writer
            if writer.changed:
                self._tell(session, found["number"], writer.revision)
                session.keep = True

    def revision(self, collection: str) -> int:
        """The newest revision.

        Raises:
            UnknownNameError: If there is no such collection.
        """
        with self.reads() as session:
            return find_collection(session, collection)[1]

    def check(self) -> None:
        """Reads every row and compares its checksum.

        Raises:
            IntegrityError: If a row is not what was written.
            FileFormatError: If the database is damaged.
        """
        for collection in self.collections():
            with self.reads() as session:
                SqlReader(session, **self._found(session, collection)).check_rows()

    def seal_texts(self, fact: str, value: str) -> bool:
        """Seals all names and sources that stand plain, of all collections, and sets a fact that says so.

        All is one transaction. `use_texts` must have been called.

        Args:
            fact: Name of the fact.
            value: What it is to be.

        Returns:
            Whether there was anything; False as well if the fact was set already.
        """
        with self.changes() as session:
            known = session.rows("SELECT value FROM facts WHERE name = ?", (fact,))
            if known:
                return False
            names = session.rows("SELECT name FROM collections ORDER BY name")
            for (name,) in names:
                found = self._found(session, name, lock=self._lock)
                plain = SqlReader(session, **{**found, "texts": SealedTexts(name, PlainTexts())})
                SqlWriter(session, **found).seal_texts_of(plain)
            session.run(_PUT_FACT, (fact, value))
            return bool(names)

    def facts(self, name: str) -> str | None:
        """A fact about the whole database; None if it was never set."""
        if not storable(name):
            return None
        with self.reads() as session:
            rows = session.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def set_fact(self, name: str, value: str) -> None:
        """Sets a fact about the whole database.

        Raises:
            ConfigError: If name or value cannot be stored.
        """
        check_id(name, name="name")
        check_text(value, name="value")
        with self.changes() as session:
            session.run(_PUT_FACT, (name, value))

    def _tell(self, session: S, number: int, revision: int) -> None:
        """Tells others of a new revision, where the database can."""

    def _found(self, session: S, collection: str, *, lock: str = "") -> dict[str, Any]:
        number, revision = find_collection(session, collection, lock=lock)
        texts = SealedTexts(collection, self._texts)
        return {"collection": collection, "number": number, "revision": revision, "texts": texts}
