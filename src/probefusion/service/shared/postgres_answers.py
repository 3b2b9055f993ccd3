"""Answers that all services of a gallery keep together: a request is done once, wherever it comes in again."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from probefusion.gallery.stores.postgres_connection import psycopg_module, translated
from probefusion.gallery.stores.postgres_session import rolled_back
from probefusion.service.shared.answers import (
    SECONDS,
    Answers,
    Asked,
    Found,
    KeptAnswer,
    State,
)
from probefusion.service.shared.database import ServiceDatabase
from probefusion.service.shared.vault import Vault

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresAnswers"]

_AT_WORK = 0x70665378
"""First number of the locks that processes at work hold; the second is theirs."""

_NOBODY = 0
_MOST = 100_000

_IS_AT_WORK = (
    "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = worker AND "
    "database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class PostgresAnswers(Answers):
    """Answers in the database of the gallery, sealed.

    Each process holds a lock of the server for as long as it lives. So a request whose process was killed is known
    to be lost at once, and one that is under way is not.

    Args:
        database: Where they lie.
        vault: Seals them.
    """

    def __init__(self, database: ServiceDatabase, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._number = 1 + secrets.randbelow(2**31 - 1)
        self._running: set[bytes] = set()
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    def begin(self, asked: Asked) -> Found:
        """As `Answers.begin`."""
        with self._transaction() as connection:
            made = connection.execute(
                "INSERT INTO probefusion_service.answers VALUES (%s, %s, %s, %s, %s, now(), NULL) "
                "ON CONFLICT (name) DO NOTHING",
                (asked.name, asked.request, asked.collection, asked.revision, self._number),
            )
            if made.rowcount == 1:
                self._running.add(asked.name)
                return Found(state=State.FIRST)
            row = connection.execute(
                f"SELECT request, answer, revision, {_IS_AT_WORK} "  # noqa: S608 - own text
                "FROM probefusion_service.answers WHERE name = %s",
                (_AT_WORK, asked.name),
                binary=True,
            ).fetchone()
        if row is None:  # it was refused, or dropped, in between
            return Found(state=State.UNDER_WAY)
        request, answer, revision, is_at_work = row
        if request != asked.request:
            return Found(state=State.OTHER)
        if answer is not None:
            opened = self._vault.open_answer(answer, asked.caller, asked.key)
            return Found(state=State.DONE, answer=opened, revision=revision)
        return Found(state=State.UNDER_WAY if is_at_work else State.LOST, revision=revision)

    def take_over(self, asked: Asked) -> Found:
        """As `Answers.take_over`."""
        with self._transaction() as connection:
            taken = connection.execute(
                "UPDATE probefusion_service.answers SET worker = %s, revision = %s, begun = now() "  # noqa: S608
                f"WHERE name = %s AND answer IS NULL AND NOT {_IS_AT_WORK}",
                (self._number, asked.revision, asked.name, _AT_WORK),
            )
            if taken.rowcount == 1:
                self._running.add(asked.name)
                return Found(state=State.FIRST)
        return Found(state=State.UNDER_WAY)

    def keep(self, asked: Asked, answer: KeptAnswer) -> None:
        """As `Answers.keep`."""
        sealed = self._vault.seal_answer(answer, asked.caller, asked.key)
        self._end(
            asked,
            "UPDATE probefusion_service.answers SET answer = %s WHERE name = %s",
            (sealed, asked.name),
        )

    def give_up(self, asked: Asked) -> None:
        """As `Answers.give_up`."""
        self._end(asked, "DELETE FROM probefusion_service.answers WHERE name = %s", (asked.name,))

    def lose(self, asked: Asked) -> None:
        """As `Answers.lose`."""
        self._end(
            asked,
            "UPDATE probefusion_service.answers SET worker = %s WHERE name = %s",
            (_NOBODY, asked.name),
        )

    def drop_answers_of(self, collection: str, *, besides: bytes = b"") -> None:
        """As `Answers.drop_answers_of`."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM probefusion_service.answers "
                "WHERE collection = %s AND answer IS NOT NULL AND name <> %s",
                (collection, besides),
            )

    def drop_old(self) -> None:
        """As `Answers.drop_old`; and what this process could not note when it ended is said to be lost."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM probefusion_service.answers WHERE begun < now() - make_interval(secs => %s)",
                (SECONDS,),
            )
            connection.execute(
                "DELETE FROM probefusion_service.answers WHERE answer IS NOT NULL AND begun < (SELECT begun FROM "
                "probefusion_service.answers ORDER BY begun DESC OFFSET %s LIMIT 1)",
                (_MOST,),
            )
            connection.execute(
                "UPDATE probefusion_service.answers SET worker = %s "
                "WHERE worker = %s AND answer IS NULL AND name <> ALL(%s)",
                (_NOBODY, self._number, list(self._running)),
            )

    def close(self) -> None:
        """Lets go of the connection: what is not answered now is lost."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _end(self, asked: Asked, statement: str, values: tuple[Any, ...]) -> None:
        try:
            with self._transaction() as connection:
                connection.execute(statement.encode(), values)
        finally:
            self._running.discard(asked.name)

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction on the one connection that holds the lock of this process."""
        with self._lock:
            connection = self._begun()
            try:
                with translated(self._database.address):
                    yield connection
                    connection.execute("COMMIT")
            finally:
                if not rolled_back(connection):
                    self._drop(connection)

    def _begun(self) -> psycopg.Connection[Any]:
        if self._connection is not None:
            try:
                self._connection.execute("BEGIN")
                return self._connection
            except psycopg_module().OperationalError:  # it broke while nobody used it
                self._drop(self._connection)
        self._connection = self._database.connect()
        with translated(self._database.address):
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT pg_advisory_lock(%s, %s)", (_AT_WORK, self._number))
        return self._connection

    def _drop(self, connection: psycopg.Connection[Any]) -> None:
        connection.close()
        self._connection = None
