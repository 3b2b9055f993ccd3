"""Galleries on a server of PostgreSQL, for many writers on many machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from probefusion.errors import StoreError
from probefusion.gallery.stores.connections import Connections
from probefusion.gallery.stores.postgres_connection import (
    Server,
    psycopg_module,
    translated,
)
from probefusion.gallery.stores.postgres_erase import (
    overwrite_log,
    overwrite_tables,
    schemas_with_copies,
)
from probefusion.gallery.stores.postgres_session import PostgresSession, rolled_back
from probefusion.gallery.stores.postgres_tables import check_version, prepare
from probefusion.gallery.stores.sql_store import SqlStore

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresStore"]

_CHANNEL = "probefusion"
"""Where the server tells of new revisions: the payload is "number of the collection:revision"."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


class PostgresStore(SqlStore[PostgresSession]):
    """A gallery in a database of PostgreSQL 15 or newer, in the schema `probefusion`.

    Many may read while one writes; each collection has one writer at a time. What was written is as safe as the
    server keeps commits (synchronous_commit is at least "on").

    Args:
        url: `postgresql://user:password@host:port/database`.
        create: Whether to make the tables where there are none.
        timeout: Seconds to wait for other writers, >= 0.

    Raises:
        MissingExtraError: If psycopg is not installed.
        MissingFileError: If there is no gallery and none is to be made.
        FileFormatError: If the tables are of a newer version or another program.
        ConfigError: If the URL cannot be read, or the database is not in UTF-8.
        StoreError: If the server cannot be reached, or a right is missing.
    """

    _lock = "FOR UPDATE"

    def __init__(self, url: str, *, create: bool = True, timeout: float = 30.0) -> None:
        super().__init__()
        self._server = Server.parse(url, timeout=timeout)
        self.address = self._server.address
        prepare(self._server, create=create)
        self._connections = Connections(self._server.connect, address=self.address)

    def wait(self, collection: str, *, after: int, timeout: float) -> int:
        """Waits until a revision after `after` is there, at most `timeout` seconds; gives the newest.

        Raises:
            UnknownNameError: If there is no such collection.
        """
        end = time.monotonic() + timeout
        revision = self.revision(collection)
        if revision > after or timeout <= 0:
            return revision
        connection = self._connections.take()
        try:
            with translated(self.address):
                connection.execute(f"LISTEN {_CHANNEL}")
                while (revision := self.revision(collection)) <= after:
                    left = end - time.monotonic()
                    if left <= 0:
                        break
                    for _ in connection.notifies(timeout=left, stop_after=1):
                        pass
                connection.execute("UNLISTEN *")
        except BaseException:
            connection.close()
            raise
        self._connections.give_back(connection)
        return revision

    def overwrite(self) -> tuple[str, ...]:
        """Overwrites what was deleted: in the tables, and in the server's log where rights allow it.

        Tables are written anew (VACUUM FULL), which needs their room once more and makes others wait. It does not
        reach archives of the log, dumps, or logs of statements; destroyed keys do.

        Returns:
            What still keeps bytes, in words; () if nothing that this store reaches does.
        """
        self._connections.check()
        connection = self._server.connect()
        try:
            with translated(self.address):
                remaining = schemas_with_copies(connection)
                remaining += overwrite_tables(connection)
                remaining += overwrite_log(connection)
        finally:
            connection.close()
        return tuple(remaining)

    def close(self) -> None:
        """Lets go of all connections; further use raises `ConfigError`."""
        self._connections.close()

    def reads(self) -> AbstractContextManager[PostgresSession]:
        """A transaction that changes nothing, for the time of the block."""
        return self.transaction(writes=False)

    def changes(self, *, keep: bool = True) -> AbstractContextManager[PostgresSession]:
        """A transaction that may change things; it is kept if the block ends and its session says so."""
        return self.transaction(writes=True, keep=keep)

    @contextmanager
    def transaction(self, *, writes: bool, keep: bool = False) -> Iterator[PostgresSession]:
        """A transaction for the time of the block; it is kept if the block ends and `keep` is true.

        Raises:
            StoreBusyError: If others kept something locked for longer than `timeout`.
            StoreError: If the server cannot be reached or cannot keep it.
        """
        connection = self._begun(_WRITE if writes else _READ)
        try:
            session = PostgresSession(connection, self.address, writes=writes)
            session.keep = keep
            try:
                check_version(
                    self.address, session.rows("SELECT version FROM tables_version")[0][0]
                )
                yield session
            finally:
                session.end()
            if session.keep:
                self._commit(connection)
        finally:
            if rolled_back(connection):
                self._connections.give_back(connection)
            else:
                connection.close()

    def _tell(self, session: PostgresSession, number: int, revision: int) -> None:
        session.rows("SELECT pg_notify(?, ?)", (_CHANNEL, f"{number}:{revision}"))

    def _begun(self, begin: str) -> psycopg.Connection[Any]:
        """A connection in a new transaction; those that broke while nobody used them are replaced."""
        connection = self._connections.take()
        try:
            connection.execute(begin.encode())
        except psycopg_module().OperationalError:
            connection.close()
            self._connections.forget_idle()
            connection = self._server.connect()
            with translated(self.address):
                connection.execute(begin.encode())
        return connection

    def _commit(self, connection: psycopg.Connection[Any]) -> None:
        with translated(self.address, committing=True):
            status = connection.execute("COMMIT").statusmessage
        if status != "COMMIT":  # the server says ROLLBACK, and no error, once a statement failed
            raise StoreError(
                f"{self.address}: a statement of the block failed before its end; nothing was changed"
            )
