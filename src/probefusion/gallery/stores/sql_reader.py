"""A snapshot of a collection in SQL tables, the same over every database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    DamagedRow,
    HeldReason,
    ImageRow,
    LinkRow,
    ModelRow,
    PersonRow,
    ReceiptRow,
    VectorRow,
)
from probefusion.gallery.stores.row_reading import RowReading
from probefusion.gallery.stores.sealed_texts import PlainTexts, SealedTexts
from probefusion.gallery.stores.session import Session
from probefusion.gallery.stores.sql_rows import (
    AUDIT,
    CHANGES,
    CHIPS,
    CONTRIBUTIONS,
    IMAGES,
    LINKS,
    MODELS,
    PAYLOADS,
    PEOPLE,
    REASONS,
    RECEIPTS,
    VECTORS,
)
from probefusion.gallery.stores.sql_table import (
    MAX_ID_BYTES,
    Table,
    storable,
)
from probefusion.gallery.stores.store import Reader

__all__ = ["SqlReader", "embedder_key", "find_collection"]


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


_TABLES: tuple[Table[Any], ...] = (
    *(PEOPLE, CONTRIBUTIONS, REASONS, IMAGES, PAYLOADS, CHIPS, VECTORS),
    *(LINKS, MODELS, CHANGES, AUDIT, RECEIPTS),
)

_MOST_ABOUT = 50
"""Of so many ids the database itself looks for changes; of more all changes are read."""

_MENTIONS = "replace(edits, ?, '') <> edits"


_NAMES_AT_ONCE = 500
"""Names that one statement looks up."""


class SqlReader(RowReading, Reader):
    """A collection in SQL tables at one moment.

    Args:
        session: Its transaction.
        collection: Name of the collection.
        number: Its number in the tables.
        revision: Its revision.
        texts: Seals and opens names and sources; None leaves them as they are.
    """

    def __init__(
        self,
        session: Session,
        *,
        collection: str,
        number: int,
        revision: int,
        texts: SealedTexts | None = None,
    ) -> None:
        texts = SealedTexts(collection, PlainTexts()) if texts is None else texts
        super().__init__(session, number=number, texts=texts)
        self.collection = collection
        self.revision = revision

    def people(self, *, shown_only: bool = True) -> Iterator[PersonRow]:
        """People in the order of their ids."""
        # Where damage is told, it is told of people as well whom it hides.
        narrows = shown_only and self.on_damage == "raise"
        rows = self._stream(PEOPLE, f"{'AND shown = 1' if narrows else ''} ORDER BY id")
        return (row for row, _ in rows if row.shown or not shown_only)

    def person(self, person_id: str) -> PersonRow | None:
        """The person of an id, shown or not."""
        found = self._one(PEOPLE, "AND id = ?", person_id)
        return None if found is None else found[0]

    def person_named(self, name: str) -> PersonRow | None:
        """The person who is shown under a name; names are compared code point by code point."""
        if not storable(name):
            return None
        rest = "AND name_hash = ? AND shown = 1"
        found = self._one(PEOPLE, rest, self._texts.lookup(name))
        return None if found is None else found[0]

    def all_named(self, name: str) -> tuple[PersonRow, ...]:
        """Everybody of a name, shown or not, in the order of the ids."""
        if not storable(name):
            return ()
        found = self._all(PEOPLE, "AND name_hash = ? ORDER BY id", self._texts.lookup(name))
        return tuple(row for row, _ in found)

    def names_there(self, names: Sequence[str]) -> frozenset[str]:
        """Those of some names under which somebody is shown."""
        wanted = {self._texts.lookup(name): name for name in names if storable(name)}
        hashes: list[bytes] = list(wanted)
        forgotten = self._texts.seal.destroyed()
        found: set[str] = set()
        for start in range(0, len(hashes), _NAMES_AT_ONCE):
            some = hashes[start : start + _NAMES_AT_ONCE]
            marks = ", ".join("?" for _ in some)
            rest = f"WHERE collection = ? AND shown = 1 AND name_hash IN ({marks})"
            statement = f"SELECT name_hash, key_id FROM people {rest}"  # noqa: S608 - marks alone
            rows = self._session.rows(statement, (self._number, *some))
            found.update(wanted[bytes(row[0])] for row in rows if row[1] not in forgotten)
        return frozenset(found)

    def contributions(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What a person has now, in the order of the ids."""
        return _by_id(self._all(CONTRIBUTIONS, "AND person_id = ?", person_id))

    def taken_out(self, person_id: str) -> tuple[ContributionRow, ...]:
        """What nobody has now and the person had last, in the order of the ids."""
        rest = "AND person_id IS NULL AND last_person = ?"
        return _by_id(self._all(CONTRIBUTIONS, rest, person_id))

    def contribution(self, contribution_id: str) -> ContributionRow | None:
        """The contribution of an id."""
        return self._one(CONTRIBUTIONS, "AND id = ?", contribution_id)

    def reasons(self, contribution_id: str) -> tuple[HeldReason, ...]:
        """Why a contribution was held back; () if it was not, or nobody noted it."""
        row = self._one(REASONS, "AND contribution_id = ?", contribution_id)
        if row is None:
            return ()
        text = self._texts.open_text(contribution_id, "reasons", row[1])
        return tuple(
            HeldReason(kind=kind, words=words, other=other)
            for kind, words, other in json.loads(text or "[]")
        )

    def images(self, contribution_id: str) -> tuple[ImageRow, ...]:
        """Images of a contribution by their place; () where it keeps a state."""
        return self._all(IMAGES, "AND contribution_id = ? ORDER BY place", contribution_id)

    def image(self, image_id: str) -> ImageRow | None:
        """The image of an id."""
        row = self._one(IMAGES, "AND id = ?", image_id)
        if row is not None and self._texts.encrypts and self.on_damage != "as found":
            return None if self.contribution(row.contribution_id) is None else row  # forgotten
        return row

    def payload(self, contribution_id: str, embedder: str | None) -> bytes | None:
        """The sealed features or state that a contribution has of an embedder, or None."""
        rest = "AND contribution_id = ? AND embedder = ?"
        row = self._one(PAYLOADS, rest, contribution_id, embedder_key(embedder))
        return None if row is None else row[2]

    def chip(self, image_id: str) -> bytes | None:
        """The sealed small picture of an image, or None."""
        row = self._one(CHIPS, "AND image_id = ?", image_id)
        return None if row is None else row[1]

    def with_chips(self, contribution_id: str) -> frozenset[str]:
        """Ids of the images of a contribution that have a small picture."""
        if not storable(contribution_id):
            return frozenset()
        statement = (
            "SELECT c.image_id FROM images i JOIN chips c ON c.collection = i.collection AND c.image_id = i.id "
            "WHERE i.collection = ? AND i.contribution_id = ?"
        )
        rows = self._session.rows(statement, (self._number, contribution_id))
        return frozenset(row[0] for row in rows)

    def vectors(self, model_id: str, *, after: int = -1) -> Iterator[VectorRow]:
        """Templates of a model that were written after a revision, those that are gone included.

        They come in the order of their revisions, then of the ids of the people.
        """
        rest = "AND model_id = ? AND revision > ? ORDER BY revision, person_id"
        return self._stream(VECTORS, rest, model_id, after)

    def vector(self, model_id: str, person_id: str) -> VectorRow | None:
        """The template of one person."""
        return self._one(VECTORS, "AND person_id = ? AND model_id = ?", person_id, model_id)

    def count_templates(self, model_id: str) -> int:
        """How many people have a template by a model."""
        statement = "SELECT COUNT(*) FROM vectors WHERE collection = ? AND model_id = ? AND vector IS NOT NULL"
        rows = self._session.rows(statement, (self._number, model_id)) if storable(model_id) else []
        return int(rows[0][0]) if rows else 0

    def without_payload(self, embedder: str | None) -> tuple[str, ...]:
        """Ids of contributions of people who are shown that keep nothing of an embedder, by person and id."""
        statement = (
            "SELECT c.id FROM contributions c "
            "JOIN people p ON p.collection = c.collection AND p.id = c.person_id AND p.shown = 1 "
            "WHERE c.collection = ? AND NOT EXISTS (SELECT 1 FROM payloads y WHERE y.collection = c.collection "
            "AND y.contribution_id = c.id AND y.embedder = ?) ORDER BY c.person_id, c.id"
        )
        rows = self._session.rows(statement, (self._number, embedder_key(embedder)))
        return tuple(row[0] for row in rows)

    def links(self) -> tuple[LinkRow, ...]:
        """Pairs of people who are known to be different, in the order of the ids."""
        return self._all(LINKS, "ORDER BY first, second")

    def models(self) -> tuple[ModelRow, ...]:
        """All models, in the order in which they were made."""
        return tuple(model for model, _ in self._all(MODELS, "ORDER BY number"))

    def changes(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = False,
        actions: Sequence[str] = (),
        about: Sequence[str] = (),
    ) -> Iterator[ChangeRow]:
        """Changes after a revision, see `Reader`."""
        values: list[Any] = [after]
        rest = "AND revision > ?"
        if before is not None:
            rest += " AND revision < ?"
            values.append(before)
        if actions:
            rest += f" AND action IN ({', '.join('?' for _ in actions)})"
            values += actions
        if 0 < len(about) <= _MOST_ABOUT:
            rest += f" AND ({' OR '.join(_MENTIONS for _ in about)})"
            values += [json.dumps(item)[1:-1] for item in about]
        order = "DESC" if newest_first else "ASC"
        rows = self._stream(CHANGES, f"{rest} ORDER BY revision {order}", *values)
        return (self._texts.open_change(row) for row in rows)

    def change(self, revision: int) -> ChangeRow | None:
        """The change that made a revision."""
        row = self._one(CHANGES, "AND revision = ?", revision)
        return None if row is None else self._texts.open_change(row)

    def audit(self, *, after: int = 0) -> Iterator[bytes]:
        """Audit entries after a sequence number, as they lie there; the first is of number 1."""
        statement = AUDIT.select("AND sequence > ? ORDER BY sequence")
        rows = self._session.stream(statement, (self._number, after))
        return (AUDIT.as_found(row)[1] for row in rows)

    def last_audit(self) -> bytes | None:
        """The newest audit entry."""
        row = self._last_audit()
        return None if row is None else row[1]

    def audit_length(self) -> int:
        """Number of the newest audit entry; 0 if there is none."""
        row = self._last_audit()
        return 0 if row is None else row[0]

    def receipts(self, *, pending_only: bool = False) -> tuple[ReceiptRow, ...]:
        """Receipts of forgetting, in the order in which they were made."""
        rest = f"{'AND status = ?' if pending_only else ''} ORDER BY number"
        rows = self._stream(RECEIPTS, rest, *(("pending",) if pending_only else ()))
        return tuple(receipt for receipt, _ in rows)

    def forgotten(self) -> tuple[tuple[str, ...], tuple[ContributionRow, ...]]:
        """What was forgotten and came back with an older database, see `Reader`."""
        destroyed = self._texts.seal.destroyed()
        if not destroyed:
            return (), ()
        people = {
            key: None
            for key, key_id in self._keys_of("people", "id, key_id")
            if key_id in destroyed
        }
        lost = [
            key
            for key, key_id in self._keys_of("contributions", "id, key_id")
            if key_id in destroyed
        ]
        known, self.on_damage = self.on_damage, "as found"
        try:
            rows = [self.contribution(item) for item in lost]
        finally:
            self.on_damage = known
        return tuple(people), tuple(row for row in rows if row is not None)

    def count(self) -> dict[str, int]:
        """How many there are, without those that were forgotten and came back with an older database.

        Returns:
            "people" who are shown, "hidden" people, "contributions" (those taken out included), "images" that
            went into them, and "bytes" of payloads.
        """
        shown = self._numbers(
            "SELECT COUNT(*), COALESCE(SUM(shown), 0) FROM people WHERE collection = ?"
        )
        contributions = self._numbers(
            "SELECT COUNT(*), COALESCE(SUM(num_images), 0) FROM contributions WHERE collection = ?"
        )
        payloads = self._numbers(
            "SELECT COALESCE(SUM(LENGTH(payload)), 0) FROM payloads WHERE collection = ?"
        )
        people, seen, parts, images = *shown, *contributions
        destroyed = self._texts.seal.destroyed()
        if destroyed:
            for key_id, is_shown in self._keys_of("people", "key_id, shown"):
                people -= key_id in destroyed
                seen -= is_shown if key_id in destroyed else 0
            for key_id, num_images in self._keys_of("contributions", "key_id, num_images"):
                parts -= key_id in destroyed
                images -= num_images if key_id in destroyed else 0
        return {
            "people": seen,
            "hidden": people - seen,
            "contributions": parts,
            "images": images,
            "bytes": payloads[0],
        }

    def _keys_of(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        statement = f"SELECT {columns} FROM {table} WHERE collection = ?"  # noqa: S608 - own names
        return self._session.rows(statement, (self._number,))

    def check_rows(self) -> None:
        """Reads every row of the collection and compares its checksum.

        Raises:
            IntegrityError: If a row is not what was written.
        """
        for table in _TABLES:
            for _ in self._stream(table, ""):
                pass

    def damaged_rows(self) -> Iterator[DamagedRow]:
        """Reads every row of the collection; gives those that are not what was written."""
        known, self.on_damage = (self.on_damage, self.damaged), "pass over"
        try:
            for table in _TABLES:
                self.damaged = []
                for _ in self._stream(table, ""):
                    pass
                yield from self.damaged
        finally:
            self.on_damage, self.damaged = known

    def _last_audit(self) -> tuple[int, bytes] | None:
        statement = AUDIT.select("ORDER BY sequence DESC LIMIT 1")
        rows = self._session.rows(statement, (self._number,))
        return AUDIT.as_found(rows[0]) if rows else None

    def _numbers(self, statement: str) -> tuple[int, ...]:
        return tuple(int(value) for value in self._session.rows(statement, (self._number,))[0])


def _by_id(rows: Sequence[ContributionRow]) -> tuple[ContributionRow, ...]:
    """Rows in the order of their ids. Asked for it, SQLite reads all contributions of the collection in that order."""
    return tuple(sorted(rows, key=lambda row: row.id))
