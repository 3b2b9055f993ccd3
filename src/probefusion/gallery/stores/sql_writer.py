"""Changes of a collection in SQL tables, the same over every database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from probefusion.errors import ConfigError
from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    HeldReason,
    ImageRow,
    LinkRow,
    ModelRow,
    NewContribution,
    PersonRow,
    ReceiptRow,
    VectorRow,
)
from probefusion.gallery.stores.row_erasing import RowErasing
from probefusion.gallery.stores.sealed_texts import SealedTexts, names_in
from probefusion.gallery.stores.session import Session
from probefusion.gallery.stores.sql_reader import SqlReader, embedder_key
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
    Row,
    Table,
    check_text,
)
from probefusion.gallery.stores.store import Writer

__all__ = ["SqlWriter"]

_AT_ONCE = 500
"""Ids that one statement looks up."""


class SqlWriter(RowErasing, Writer):
    """A collection in SQL tables while nobody else changes it.

    Args:
        session: Its transaction.
        collection: Name of the collection.
        number: Its number in the tables.
        revision: Its revision after the change: one more than before.
        texts: Seals and opens names and sources; None leaves them as they are.

    Attributes:
        changed: Whether the change of `revision` was put; without it nothing is kept.
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
        super().__init__(
            session, collection=collection, number=number, revision=revision, texts=texts
        )
        self.changed = False

    def put_person(self, person: PersonRow) -> None:
        """Adds or replaces a person.

        Raises:
            ConfigError: If another person is shown under that name, or a text cannot be stored.
        """
        (values,) = self._people_values([person])
        if person.shown:
            self._make_room(values[1 + PEOPLE.columns.index("name_hash")])
            other = self.person_named(person.name)
            if other is not None and other.id != person.id:
                raise ConfigError(
                    f"name: another person of {self.collection!r} is shown under this name; "
                    "names stand once among people who are shown. Choose another, or hide that person first."
                )
        self._session.run(PEOPLE.put, values)

    def _make_room(self, name_hash: bytes) -> None:
        """Erases who was forgotten under a name and came back with an older database."""
        if not self._texts.encrypts:
            return
        statement = "SELECT id FROM people WHERE collection = ? AND name_hash = ? AND shown = 1"
        for (person_id,) in self._session.rows(statement, (self._number, name_hash)):
            if self.person(person_id) is None:
                has = "SELECT id FROM contributions WHERE collection = ? AND person_id = ?"
                for (item,) in self._session.rows(has, (self._number, person_id)):
                    self._erase_contribution(item)
                self._erase_person(person_id)

    def _people_values(self, people: Sequence[PersonRow]) -> list[tuple[Any, ...]]:
        for person in people:
            check_text(person.name, name="people.name")
        hashes = [self._texts.lookup(person.name) for person in people]
        sealed = self._texts.seal_people(people)
        return [PEOPLE.write(self._number, row) for row in zip(sealed, hashes, strict=True)]

    def add_contribution(
        self,
        contribution: ContributionRow,
        images: Sequence[ImageRow],
        payload: bytes,
        embedder: str | None,
    ) -> None:
        """Adds a contribution with its images and what it keeps.

        Raises:
            ConfigError: If an id is there already, an image is of another contribution, two have one place, or
                a text cannot be stored.
        """
        row = CONTRIBUTIONS.write(self._number, self._texts.seal_contributions([contribution])[0])
        sealed = self._texts.seal_images(images, [contribution.key_id] * len(images))
        rows = [IMAGES.write(self._number, image) for image in sealed]
        key = embedder_key(embedder)
        kept = PAYLOADS.write(self._number, (contribution.id, key, bytes(payload)))
        if self.contribution(contribution.id) is not None:
            raise ConfigError(
                f"contribution.id: {contribution.id!r} is in {self.collection!r} already"
            )
        self._check_images(contribution, images)
        self._session.run(CONTRIBUTIONS.add, row)
        if rows:
            self._session.run_many(IMAGES.add, rows)
        self._session.run(PAYLOADS.add, kept)

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
        if self._texts.seal.destroyed():
            for person in people:
                self._make_room(self._texts.lookup(person.name))
        taken = self.names_there([person.name for person in people if person.shown])
        if taken:
            raise ConfigError(
                f"name: another person of {self.collection!r} is shown under a name of these people"
            )
        added = [
            (each.row.id, embedder_key(each.embedder), bytes(each.payload))
            for each in contributions
        ]
        images = [image for each in contributions for image in each.images]
        key_ids = [each.row.key_id for each in contributions for _ in each.images]
        self._session.run_many(PEOPLE.add, self._people_values(people))
        sealed = self._texts.seal_contributions([each.row for each in contributions])
        self._add_all(CONTRIBUTIONS, sealed)
        self._add_all(IMAGES, self._texts.seal_images(images, key_ids))
        self._add_all(PAYLOADS, added)
        self._add_all(CHIPS, [chip for each in contributions for chip in each.chips])
        self._add_all(VECTORS, vectors)

    def _add_all(self, table: Table[Row], rows: Sequence[Row]) -> None:
        if rows:
            self._session.run_many(table.add, [table.write(self._number, row) for row in rows])

    def put_reasons(self, contribution_id: str, reasons: Sequence[HeldReason]) -> None:
        """Notes why a contribution is held back.

        Raises:
            ConfigError: If there is no such contribution.
        """
        contribution = self._contribution(contribution_id)
        noted = json.dumps([(each.kind, each.words, each.other) for each in reasons])
        text = self._texts.seal_text(contribution_id, "reasons", noted, contribution.key_id)
        self._put(REASONS, (contribution_id, text))

    def place(self, contribution_id: str, person_id: str | None) -> None:
        """Gives a contribution to a person, or to nobody; `last_person` follows.

        Raises:
            ConfigError: If there is no such contribution.
        """
        contribution = self._contribution(contribution_id)
        last = contribution.last_person if person_id is None else person_id
        self._put_contribution(replace(contribution, person_id=person_id, last_person=last))

    def leave_out(self, image_id: str, left_out: bool) -> None:
        """Takes an image out of its contribution, or in again.

        Raises:
            ConfigError: If there is no such image.
        """
        image = self._image(image_id)
        contribution = self._contribution(image.contribution_id)
        self._put_images([replace(image, left_out=left_out)], contribution.key_id)

    def put_payload(
        self, contribution_id: str, embedder: str | None, payload: bytes, key_id: str | None
    ) -> None:
        """Adds or replaces what a contribution keeps of an embedder; the key is that of all its payloads.

        Raises:
            ConfigError: If there is no such contribution.
        """
        contribution = self._contribution(contribution_id)
        self._put(PAYLOADS, (contribution_id, embedder_key(embedder), bytes(payload)))
        if contribution.key_id != key_id:
            images, reasons = self.images(contribution_id), self.reasons(contribution_id)
            self._put_contribution(replace(contribution, key_id=key_id))
            self._put_images(images, key_id)
            if reasons:
                self.put_reasons(contribution_id, reasons)

    def put_chip(self, image_id: str, chip: bytes) -> None:
        """Adds or replaces the small picture of an image.

        Raises:
            ConfigError: If there is no such image.
        """
        self._put(CHIPS, (self._image(image_id).id, bytes(chip)))

    def put_vector(self, vector: VectorRow) -> None:
        """Adds or replaces a template.

        Raises:
            ConfigError: If it is not of the revision that is being written.
        """
        if vector.revision != self.revision:
            raise ConfigError(
                f"vector.revision: expected {self.revision}, which is being written, got {vector.revision}"
            )
        self._put(VECTORS, vector)

    def put_link(self, link: LinkRow) -> None:
        """Adds a pair; nothing happens if it is there.

        Raises:
            ConfigError: If the ids are not in order.
        """
        if not link.first < link.second:
            raise ConfigError(
                f"link: expected first < second, got {link.first!r} and {link.second!r}"
            )
        if not self._all(LINKS, "AND first = ? AND second = ?", link.first, link.second):
            self._session.run(LINKS.add, LINKS.write(self._number, link))

    def drop_link(self, link: LinkRow) -> None:
        """Takes a pair away; nothing happens if it is not there."""
        self._delete("links", "first = ? AND second = ?", link.first, link.second)

    def put_model(self, model: ModelRow) -> None:
        """Adds or replaces a model; its place in the order stays."""
        old = self._one(MODELS, "AND id = ?", model.id)
        self._put(MODELS, (model, self._next(MODELS) if old is None else old[1]))

    def drop_model(self, model_id: str) -> None:
        """Takes a model and all its templates away."""
        self._delete("vectors", "model_id = ?", model_id)
        self._delete("models", "id = ?", model_id)

    def put_change(self, change: ChangeRow) -> None:
        """Adds a change, or replaces that of its revision; a new one must be of revision `revision`.

        Raises:
            ConfigError: If the revision is not `revision` and has no change.
        """
        if change.revision != self.revision and self.change(change.revision) is None:
            raise ConfigError(
                f"change.revision: expected {self.revision}, or that of a change of {self.collection!r}, "
                f"got {change.revision}"
            )
        if any(row.table == "changes" and row.key == str(change.revision) for row in self.damaged):
            # Its checksum stays wrong: what else the row says was damaged all the same.
            statement = "UPDATE changes SET edits = '[]' WHERE collection = ? AND revision = ?"
            self._session.run(statement, (self._number, change.revision))
            return
        self._put_change(change)
        if change.revision == self.revision and not self.changed:
            statement = "UPDATE collections SET revision = ? WHERE number = ?"
            self._session.run(statement, (self.revision, self._number))
            self.changed = True

    def append_audit(self, sequence: int, entry: bytes) -> None:
        """Adds an audit entry; `sequence` must be one more than the last, and 1 for the first.

        Raises:
            ConfigError: If it is not.
        """
        expected = self.audit_length() + 1
        if sequence != expected:
            raise ConfigError(f"sequence: expected {expected}, got {sequence}")
        self._session.run(AUDIT.add, AUDIT.write(self._number, (sequence, bytes(entry))))

    def put_receipt(self, receipt: ReceiptRow) -> None:
        """Adds or replaces a receipt; its place in the order stays."""
        old = self._one(RECEIPTS, "AND id = ?", receipt.id)
        self._put(RECEIPTS, (receipt, self._next(RECEIPTS) if old is None else old[1]))

    def seal_texts_of(self, plain: SqlReader) -> None:
        """Writes all rows that hold names or sources anew, with these sealed; damaged ones stay as they are.

        Args:
            plain: Reads the same rows as they stand.
        """
        plain.on_damage = "pass over"
        for person in plain.people(shown_only=False):
            self._session.run(PEOPLE.put, self._people_values([person])[0])
        key_ids: dict[str, str | None] = {}
        for contribution in plain._stream(CONTRIBUTIONS, ""):
            key_ids[contribution.id] = contribution.key_id
            self._put_contribution(contribution)
        for image in plain._stream(IMAGES, ""):
            key_id = key_ids.get(image.contribution_id)
            if key_id is not None:
                self._put_images([image], key_id)
        for contribution_id, text in plain._stream(REASONS, ""):
            key_id = key_ids.get(contribution_id)
            if key_id is not None:
                sealed = self._texts.seal_text(contribution_id, "reasons", text, key_id)
                self._put(REASONS, (contribution_id, sealed))
        for change in plain.changes():
            if names_in(change.edits):
                self._put_change(change)

    def _image(self, image_id: str) -> ImageRow:
        row = self.image(image_id)
        if row is None:
            raise ConfigError(f"image_id: no image {image_id!r} in {self.collection!r}")
        return row

    def _check_images(self, contribution: ContributionRow, images: Sequence[ImageRow]) -> None:
        ids: set[str] = set()
        places: set[int] = set()
        for image in images:
            if image.contribution_id != contribution.id:
                raise ConfigError(
                    f"images: expected those of {contribution.id!r}, got one of {image.contribution_id!r}"
                )
            if image.id in ids:
                raise ConfigError(f"images: the id {image.id!r} stands twice")
            if image.place in places:
                raise ConfigError(f"images: the place {image.place} stands twice")
            ids.add(image.id)
            places.add(image.place)
        names = [image.id for image in images]
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            there = self._all(IMAGES, f"AND id IN ({', '.join('?' for _ in some)})", *some)
            if there:
                raise ConfigError(f"images: {there[0].id!r} is in {self.collection!r} already")

    def _put_contribution(self, row: ContributionRow) -> None:
        self._put(CONTRIBUTIONS, self._texts.seal_contributions([row])[0])

    def _put_images(self, rows: Sequence[ImageRow], key_id: str | None) -> None:
        for row in self._texts.seal_images(rows, [key_id] * len(rows)):
            self._put(IMAGES, row)

    def _put_change(self, change: ChangeRow) -> None:
        named = names_in(change.edits) if self._texts.encrypts else ()
        key_ids = {
            person_id: key_id
            for person_id in named
            for (key_id,) in self._raw(
                "SELECT key_id FROM people WHERE collection = ? AND id = ?", person_id
            )
        }
        self._put(CHANGES, self._texts.seal_change(change, key_ids))

    def _next(self, table: Table[Row]) -> int:
        statement = f"SELECT COALESCE(MAX(number), 0) + 1 FROM {table.name} WHERE collection = ?"  # noqa: S608 - own names
        return self._numbers(statement)[0]
