"""Erasing rows of a collection in SQL tables, also where they were damaged."""

from __future__ import annotations

from probefusion.errors import ConfigError
from probefusion.gallery.stores.records import ContributionRow, VectorRow
from probefusion.gallery.stores.sql_reader import SqlReader
from probefusion.gallery.stores.sql_rows import VECTORS
from probefusion.gallery.stores.sql_table import Row, Table, check_id

__all__ = ["RowErasing"]


class RowErasing(SqlReader):
    """The part of a writer that erases."""

    def take_as_found(self) -> None:
        """For erasing in a damaged collection: rows are read as they lie there, and found whatever became of them."""
        self._session.index_anew()
        self.on_damage = "as found"

    def key_ids(self, subject: str) -> tuple[str, ...]:
        """Ids of all keys that rows of a person or contribution name, in every place where they do."""
        found: dict[str, None] = {}
        for columns, table, key in (
            ("key_id, name", "people", "id"),
            ("key_id, source", "contributions", "id"),
            ("NULL, source", "images", "contribution_id"),
            ("NULL, reasons", "reasons", "contribution_id"),
        ):
            statement = f"SELECT {columns} FROM {table} WHERE collection = ? AND {key} = ?"  # noqa: S608 - own names
            for key_id, text in self._raw(statement, subject):
                named = self._texts.seal.key_of(text) if isinstance(text, str) else None
                found.update(dict.fromkeys(each for each in (key_id, named) if each))
        return tuple(found)

    def erase_contribution(self, contribution_id: str) -> None:
        """Deletes a contribution with its images, payloads and chips.

        Raises:
            ConfigError: If there is no such contribution.
        """
        self._contribution(contribution_id)
        self._erase_contribution(contribution_id)

    def _erase_contribution(self, contribution_id: str) -> None:
        statement = (
            "DELETE FROM chips WHERE collection = ? AND image_id IN "
            "(SELECT id FROM images WHERE collection = ? AND contribution_id = ?)"
        )
        self._session.run(statement, (self._number, self._number, contribution_id))
        self._delete("reasons", "contribution_id = ?", contribution_id)
        self._delete("images", "contribution_id = ?", contribution_id)
        self._delete("payloads", "contribution_id = ?", contribution_id)
        self._delete("contributions", "id = ?", contribution_id)

    def erase_person(self, person_id: str) -> None:
        """Deletes a person with templates (marks stay that say they are gone) and links.

        Contributions that the person has must be erased, or given to others, in the same block.

        Raises:
            ConfigError: If there is no such person.
        """
        if self.person(person_id) is None:
            raise ConfigError(f"person_id: no person {person_id!r} in {self.collection!r}")
        self._erase_person(person_id)

    def _erase_person(self, person_id: str) -> None:
        models = "SELECT model_id FROM vectors WHERE collection = ? AND person_id = ?"
        for (model_id,) in self._session.rows(models, (self._number, person_id)):
            gone = VectorRow(
                person_id=person_id,
                model_id=model_id,
                vector=None,
                num_images=0,
                revision=self.revision,
            )
            self._put(VECTORS, gone)
        self._delete("links", "(first = ? OR second = ?)", person_id, person_id)
        self._delete("people", "id = ?", person_id)

    def _contribution(self, contribution_id: str) -> ContributionRow:
        row = self.contribution(contribution_id)
        if row is None:
            raise ConfigError(
                f"contribution_id: no contribution {contribution_id!r} in {self.collection!r}"
            )
        return row

    def _put(self, table: Table[Row], row: Row) -> None:
        self._session.run(table.put, table.write(self._number, row))

    def _delete(self, table: str, where: str, *values: str) -> None:
        statement = f"DELETE FROM {table} WHERE collection = ? AND {where}"  # noqa: S608 - own names
        for value in values:
            check_id(value, name=table)
        self._session.run(statement, (self._number, *values))
