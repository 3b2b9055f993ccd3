"""Templates in plain numbers for users of SQL: an opt-in, for which PostgreSQL needs pgvector.

A gallery searches in memory and keeps its templates sealed. Who wants to search in SQL can have a copy of them as
half-precision vectors. **The copy is not encrypted**, and destroyed keys do not reach what backups hold of it.
A row of the copy goes whenever its sealed template is replaced, taken away or forgotten, whoever does it: the
database sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from probefusion.errors import ConfigError, StoreError, UnknownNameError, UnsupportedOperationError
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.stores.postgres_erase import PLAIN_TABLE
from probefusion.gallery.stores.postgres_store import PostgresStore
from probefusion.gallery.stores.records import ModelRow, VectorRow
from probefusion.gallery.stores.sql_reader import find_collection
from probefusion.gallery.stores.sql_rows import (
    VECTORS,
)
from probefusion.types import FloatArray

__all__ = ["PlainTemplates"]

_AT_A_TIME = 1000

_MAKE = (
    "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public",
    f"""CREATE TABLE IF NOT EXISTS {PLAIN_TABLE} (
        collection BIGINT NOT NULL,
        person_id TEXT COLLATE "C" NOT NULL,
        model_id TEXT COLLATE "C" NOT NULL,
        template halfvec NOT NULL,
        revision BIGINT NOT NULL,
        PRIMARY KEY (collection, person_id, model_id),
        FOREIGN KEY (collection, person_id, model_id)
            REFERENCES vectors (collection, person_id, model_id) ON DELETE CASCADE)""",
    f"ALTER TABLE {PLAIN_TABLE} ALTER COLUMN template SET STATISTICS 0",
    f"""CREATE OR REPLACE FUNCTION drop_plain_template() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM probefusion.{PLAIN_TABLE} WHERE collection = OLD.collection
                AND person_id = OLD.person_id AND model_id = OLD.model_id;
            RETURN NULL;
        END $$""",  # noqa: S608 - own names
    "CREATE OR REPLACE TRIGGER plain_template_is_old AFTER UPDATE ON vectors "
    "FOR EACH ROW EXECUTE FUNCTION drop_plain_template()",
    f"""CREATE OR REPLACE VIEW templates AS
        SELECT c.name AS collection, t.model_id, t.person_id, p.name, t.template
        FROM {PLAIN_TABLE} t
        JOIN collections c ON c.number = t.collection
        JOIN people p ON p.collection = t.collection AND p.id = t.person_id AND p.shown = 1""",  # noqa: S608 - own names
)

_UNMAKE = (
    "DROP VIEW IF EXISTS templates",
    "DROP TRIGGER IF EXISTS plain_template_is_old ON vectors",
    "DROP FUNCTION IF EXISTS drop_plain_template",
    f"DROP TABLE IF EXISTS {PLAIN_TABLE}",
)

_OLD = (
    f"SELECT {', '.join(f'v.{column}' for column in (*VECTORS.columns, 'crc'))} FROM vectors v "  # noqa: S608 - own names
    f"LEFT JOIN {PLAIN_TABLE} t ON t.collection = v.collection AND t.model_id = v.model_id "
    "AND t.person_id = v.person_id AND t.revision = v.revision "
    "WHERE v.collection = ? AND v.model_id = ? AND v.vector IS NOT NULL AND t.revision IS NULL"
)
"""Templates without a copy. Their rows go when they are replaced, so none has an old one."""

_PUT = (
    f"INSERT INTO {PLAIN_TABLE} (collection, person_id, model_id, template, revision) "  # noqa: S608 - own names
    "SELECT collection, person_id, model_id, ?::text::halfvec, revision FROM vectors "
    "WHERE collection = ? AND person_id = ? AND model_id = ? AND revision = ? AND vector IS NOT NULL "
    "FOR UPDATE ON CONFLICT DO NOTHING"
)
"""Copies a template unless it was replaced or taken away since it was read."""


class PlainTemplates:
    """The plain copy of a gallery's templates in PostgreSQL.

    Args:
        gallery: A gallery whose address is `postgresql://...`; a `Gallery` opened as usual.

    Raises:
        UnsupportedOperationError: If it lies elsewhere.
    """

    def __init__(self, gallery: GalleryCore) -> None:
        store = gallery.store
        if not isinstance(store, PostgresStore):
            raise UnsupportedOperationError(
                f"{gallery.address}: plain templates are for galleries in PostgreSQL; "
                "here, Gallery.plain_people() gives all templates"
            )
        self._gallery, self._store = gallery, store

    def enable(self) -> None:
        """Makes the table `probefusion.plain_templates` and the view `probefusion.templates`, if they are not there.

        Raises:
            StoreError: If pgvector is not installed, or a right is missing.
        """
        with self._store.transaction(writes=True, keep=True) as session:
            if not session.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
                raise StoreError(
                    f"{self._store.address}: expected pgvector on the server, and it is not installed; "
                    "nothing was changed. See https://github.com/pgvector/pgvector"
                )
            for statement in _MAKE:
                session.run(statement)

    def disable(self) -> None:
        """Drops table and view, for all collections of the database."""
        with self._store.transaction(writes=True, keep=True) as session:
            for statement in _UNMAKE:
                session.run(statement)

    @property
    def enabled(self) -> bool:
        """Whether there is a plain copy."""
        with self._store.transaction(writes=False) as session:
            name = f"probefusion.{PLAIN_TABLE}"
            return session.rows("SELECT to_regclass(?) IS NOT NULL", (name,)) == [(True,)]

    def refresh(self, model: str | None = None) -> int:
        """Copies the templates of the collection that have no copy yet. Call it after changes, or now and then.

        Args:
            model: Id of the model whose templates are copied; None is the one that serves.

        Returns:
            How many were copied.

        Raises:
            ConfigError: If there is no plain copy: call `enable` first.
            UnknownNameError: If there is no such model.
        """
        if not self.enabled:
            raise ConfigError("plain templates: expected them to be enabled; call enable() first")
        collection = self._gallery.collection
        with self._store.reading(collection) as reader:
            chosen = _chosen(reader.models(), model)
            keys = {person.id: person.key_id for person in reader.people(shown_only=False)}
        copied = 0
        with self._store.transaction(writes=False) as session:
            number, _ = find_collection(session, collection)
            rows = session.stream(_OLD, (number, chosen.id))
            while some := list(islice(rows, _AT_A_TIME)):
                copied += self._copy(number, [VECTORS.read(number, row) for row in some], keys)
        return copied

    def _copy(self, number: int, rows: Sequence[VectorRow], key_ids: dict[str, str | None]) -> int:
        """Copies some templates; those of people whose key was destroyed are left out."""
        sealer = self._gallery.sealer
        keys = sealer.known_keys([key_ids.get(row.person_id) for row in rows])
        values = []
        for row in rows:
            key = keys.get(key_ids.get(row.person_id) or "")
            if row.vector is None or (key is None and sealer.encrypts):
                continue
            template = sealer.open_vector(row.vector, row.person_id, row.model_id, key)
            place = (number, row.person_id, row.model_id, row.revision)
            values.append((_as_text(template), *place))
        with self._store.transaction(writes=True, keep=True) as session:
            session.run_many(_PUT, values)
        return len(values)


def _chosen(rows: Sequence[ModelRow], model: str | None) -> ModelRow:
    chosen = (
        serving(rows) if model is None else next((row for row in rows if row.id == model), None)
    )
    if chosen is None:
        raise UnknownNameError("model", model or "that serves", [row.id for row in rows])
    return chosen


def _as_text(template: FloatArray) -> str:
    return "[" + ",".join(map(repr, template.tolist())) + "]"
