"""Templates in plain numbers for users of SQL: an opt-in, for which PostgreSQL needs pgvector.

A gallery searches in memory and keeps its templates sealed. Who wants to search in SQL can have a copy of them as
half-precision vectors. **The copy is not encrypted**, and destroyed keys do not reach what backups hold of it.
A row of the copy goes whenever its sealed template is replaced, taken away or forgotten, whoever does it: the
database sees to that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_float_array
from probefusion.errors import ConfigError, StoreError
from probefusion.gallery.postgres_erase import PLAIN_TABLE
from probefusion.gallery.postgres_store import PostgresStore
from probefusion.gallery.records import VectorRow
from probefusion.gallery.sql_reader import SqlReader, find_collection

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

_PUT = (
    f"INSERT INTO {PLAIN_TABLE} (collection, person_id, model_id, template, revision) "  # noqa: S608 - own names
    "VALUES (?, ?, ?, ?::text::halfvec, ?) ON CONFLICT (collection, person_id, model_id) "
    "DO UPDATE SET template = excluded.template, revision = excluded.revision"
)

_NEWEST = (
    f"SELECT COALESCE(MAX(revision), -1) FROM {PLAIN_TABLE} "  # noqa: S608 - own names
    "WHERE collection = ? AND model_id = ?"
)


class PlainTemplates:
    """The plain copy of a gallery's templates in PostgreSQL.

    Args:
        store: Where the gallery lies.
    """

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    def enable(self) -> None:
        """Makes the table `probefusion.plain_templates` and the view `probefusion.templates`, if they are not there.

        Raises:
            StoreError: If pgvector is not installed, or a right is missing.
        """
        self._run(_MAKE)

    def disable(self) -> None:
        """Drops table and view; `store.overwrite()` then reaches what the table held."""
        self._run(_UNMAKE)

    @property
    def enabled(self) -> bool:
        """Whether there is a plain copy."""
        with self._store.transaction(writes=False) as session:
            return session.rows("SELECT to_regclass(?)", (f"probefusion.{PLAIN_TABLE}",)) != [
                (None,)
            ]

    def refresh(
        self,
        collection: str,
        model_id: str,
        opened: Callable[[VectorRow], npt.NDArray[np.float32]],
    ) -> int:
        """Copies templates that were written since the last refresh.

        Args:
            collection: Name of the collection.
            model_id: Whose templates.
            opened: Gives the template of a row, (D,), unsealed.

        Returns:
            How many were copied.

        Raises:
            UnknownNameError: If there is no such collection.
            ConfigError: If there is no plain copy.
        """
        if not self.enabled:
            raise ConfigError("plain templates: expected them to be enabled; call enable() first")
        copied = 0
        with self._store.transaction(writes=True) as session:
            number, revision = find_collection(session, collection, lock="FOR UPDATE")
            newest = int(session.rows(_NEWEST, (number, model_id))[0][0])
            reader = SqlReader(session, collection=collection, number=number, revision=revision)
            rows: list[tuple[int, str, str, str, int]] = []
            for row in reader.vectors(model_id, after=newest):
                if row.vector is None:
                    continue
                text = _as_text(opened(row))
                rows.append((number, row.person_id, model_id, text, row.revision))
                if len(rows) == _AT_A_TIME:
                    session.run_many(_PUT, rows)
                    copied += len(rows)
                    rows = []
            if rows:
                session.run_many(_PUT, rows)
            session.keep = True
        return copied + len(rows)

    def _run(self, statements: tuple[str, ...]) -> None:
        with self._store.transaction(writes=True) as session:
            available = session.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
            if not available:
                raise StoreError(
                    f"{self._store.address}: expected pgvector on the server, and it is not installed; "
                    "nothing was changed. See https://github.com/pgvector/pgvector"
                )
            for statement in statements:
                session.run(statement)
            session.keep = True


def _as_text(template: npt.NDArray[np.float32]) -> str:
    values = check_float_array(template, name="template", shape=(None,))
    return "[" + ",".join(map(repr, values.tolist())) + "]"
