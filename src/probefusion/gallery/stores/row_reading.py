"""Rows of one collection read from SQL tables: checked, opened, and what becomes of those that were damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from probefusion.errors import IntegrityError, MissingKeyError, ProbeFusionError
from probefusion.gallery.stores.records import DamagedRow, OnDamage, PersonRow
from probefusion.gallery.stores.sealed_texts import Broken, SealedTexts
from probefusion.gallery.stores.session import Session
from probefusion.gallery.stores.sql_rows import (
    CONTRIBUTIONS,
    IMAGES,
    PEOPLE,
)
from probefusion.gallery.stores.sql_table import (
    Table,
    storable,
)

__all__ = ["RowReading"]

Row = TypeVar("Row")

_AT_ONCE = 1000
"""Rows whose texts are opened at once."""


class RowReading:
    """Reads rows of one collection.

    Args:
        session: Its transaction.
        number: Number of the collection in the tables.
        texts: Opens names and sources.
    """

    def __init__(self, session: Session, *, number: int, texts: SealedTexts) -> None:
        self._session, self._number, self._texts = session, number, texts
        self.on_damage: OnDamage = "raise"
        self.damaged: list[DamagedRow] = []

    def _one(self, table: Table[Row], rest: str, *values: Any) -> Row | None:
        rows = self._all(table, rest, *values)
        return rows[0] if rows else None

    def _all(self, table: Table[Row], rest: str, *values: Any) -> tuple[Row, ...]:
        if not all(storable(value) for value in values if isinstance(value, str)):
            return ()  # what cannot be written is not there
        rows = self._session.rows(table.select(rest), (self._number, *values))
        return tuple(self._read(table, rows, passes=False))

    def _stream(self, table: Table[Row], rest: str, *values: Any) -> Iterator[Row]:
        if not all(storable(value) for value in values if isinstance(value, str)):
            return
        rows = self._session.stream(table.select(rest), (self._number, *values))
        while some := list(islice(rows, _AT_ONCE)):
            yield from self._read(table, some, passes=self.on_damage == "pass over")

    def _read(
        self, table: Table[Row], rows: Sequence[Sequence[Any]], *, passes: bool
    ) -> Sequence[Row]:
        good: list[Row] = []
        for values in rows:
            try:
                good.append(table.read(self._number, values))
            except IntegrityError as error:
                if not (passes or self.on_damage == "as found"):
                    raise self._explained(table, values, error) from error
                found = table.as_found(values)
                self.damaged.append(self._noted(table, values, found))
                if not passes:
                    good.append(found)
        return self._opened(table, good, passes=passes) if self._texts.encrypts else good

    def _explained(
        self, table: Table[Row], values: Sequence[Any], error: IntegrityError
    ) -> IntegrityError:
        """The error, with whose row it is."""
        noted = self._noted(table, values, table.as_found(values))
        if noted.contribution_id is None and noted.person_id is None:
            return error
        owner = "" if noted.person_id is None else f"person {noted.person_id}"
        part = "" if noted.contribution_id is None else f"contribution {noted.contribution_id} of "
        return IntegrityError(f"{part}{owner or 'nobody'}: {error}")

    def _opened(self, table: Table[Any], rows: list[Any], *, passes: bool) -> Sequence[Any]:
        """Rows with names and sources that can be read; those that were forgotten are left out."""

        def broken(cleared: Callable[[Any], Any]) -> Broken[Any]:
            def decide(row: Any, error: ProbeFusionError | None) -> Any:
                if error is None:  # forgotten
                    return cleared(row) if self.on_damage == "as found" else None
                lost = isinstance(
                    error, MissingKeyError
                )  # the file of keys is another, and no row damaged
                if self.on_damage != "as found" and (lost or not passes):
                    raise error
                self.damaged.append(self._owned(DamagedRow(table=table.name, key=row.id), row))
                return None if passes else cleared(row)

            return decide

        if table.name == PEOPLE.name:
            hashes = {row.id: name_hash for row, name_hash in rows}
            nameless = broken(lambda row: replace(row, name=""))
            people = self._texts.open_people([row for row, _ in rows], nameless)
            return [(row, hashes[row.id]) for row in people]
        unlabelled = broken(lambda row: replace(row, source=""))
        if table.name == CONTRIBUTIONS.name:
            return self._texts.open_contributions(rows, unlabelled)
        if table.name == IMAGES.name:
            return self._texts.open_images(rows, unlabelled)
        return rows

    def _noted(self, table: Table[Any], values: Sequence[Any], found: Any) -> DamagedRow:
        key = " ".join(str(values[table.columns.index(column)]) for column in table.key)
        readable = key.encode("utf-8", "replace").decode()
        return self._owned(DamagedRow(table=table.name, key=readable), found)

    def _owned(self, noted: DamagedRow, found: Any) -> DamagedRow:
        """Says whose a damaged row is, as far as that can be told."""
        table = noted.table
        if table in ("people", "vectors"):
            row = found[0] if table == "people" and not isinstance(found, PersonRow) else found
            return replace(noted, person_id=row.id if table == "people" else row.person_id)
        if table == "contributions":
            return self._of_contribution(noted, found.id, (found.person_id, found.last_person))
        if table == "images":
            return self._of_contribution(noted, found.contribution_id)
        if table in ("payloads", "reasons"):
            return self._of_contribution(noted, found[0])
        if table == "chips":
            rows = self._raw(
                "SELECT contribution_id FROM images WHERE collection = ? AND id = ?", found[0]
            )
            return self._of_contribution(noted, rows[0][0]) if rows else noted
        return noted

    def _of_contribution(
        self, noted: DamagedRow, contribution_id: str, owners: tuple[str | None, str] | None = None
    ) -> DamagedRow:
        if owners is None:
            statement = (
                "SELECT person_id, last_person FROM contributions WHERE collection = ? AND id = ?"
            )
            rows = self._raw(statement, contribution_id)
            owners = (rows[0][0], rows[0][1]) if rows else None
        person_id = None if owners is None else owners[0] or owners[1]
        return replace(noted, contribution_id=contribution_id, person_id=person_id or None)

    def _raw(self, statement: str, value: str) -> list[tuple[Any, ...]]:
        return self._session.rows(statement, (self._number, value)) if storable(value) else []
