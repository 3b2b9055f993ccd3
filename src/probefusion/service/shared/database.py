"""The tables of services in PostgreSQL: they stand beside those of the gallery, in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from probefusion.errors import FileFormatError
from probefusion.gallery.stores.connections import Connections
from probefusion.gallery.stores.postgres_connection import Server, psycopg_module, translated
from probefusion.gallery.stores.postgres_session import rolled_back

if TYPE_CHECKING:
    import psycopg

__all__ = ["SCHEMA", "ServiceDatabase"]

SCHEMA = "probefusion_service"
"""What lies there may be lost: it need not be in backups (`pg_dump --exclude-schema`)."""

_VERSION = 1
_TURN = 0x70665376
"""Number of the lock that lets one process at a time make the tables."""

_SECONDS = 30.0

_TABLES = (
    # Not in the server's log, so neither in its archives nor in replicas; a server that crashes begins without them.
    "CREATE UNLOGGED TABLE {}.sessions (name BYTEA PRIMARY KEY, owner TEXT NOT NULL, touched TIMESTAMPTZ NOT NULL, "
    "num_images BIGINT NOT NULL, num_bytes BIGINT NOT NULL, num_parts BIGINT NOT NULL)",
    "CREATE UNLOGGED TABLE {}.session_parts (session BYTEA NOT NULL REFERENCES {}.sessions ON DELETE CASCADE, "
    "place BIGINT NOT NULL, content BYTEA NOT NULL, PRIMARY KEY (session, place))",
    "CREATE UNLOGGED TABLE {}.rates (client BYTEA PRIMARY KEY, tokens DOUBLE PRECISION NOT NULL, "
    "granted BIGINT NOT NULL, asked TIMESTAMPTZ NOT NULL)",
    # In the log: what was changed before a crash must not be changed again after it.
    "CREATE TABLE {}.answers (name BYTEA PRIMARY KEY, request BYTEA NOT NULL, collection TEXT NOT NULL, "
    "revision BIGINT NOT NULL, worker BIGINT NOT NULL, begun TIMESTAMPTZ NOT NULL, answer BYTEA)",
    "CREATE INDEX answers_by_age ON {}.answers (begun)",
    # The server is to keep no samples of what is deleted.
    "ALTER TABLE {}.session_parts ALTER COLUMN content SET STATISTICS 0, ALTER COLUMN content SET STORAGE EXTERNAL",
    "ALTER TABLE {}.answers ALTER COLUMN answer SET STATISTICS 0",
)


class ServiceDatabase:
    """Transactions on the tables. For several threads; one object for each process.

    Args:
        url: `postgresql://user:password@host:port/database`, as for the gallery.

    Raises:
        MissingExtraError: If psycopg is not installed.
        FileFormatError: If the tables are of another version.
        StoreError: If the server cannot be reached, or a right is missing.
    """

    def __init__(self, url: str) -> None:
        self._server = Server.parse(url, timeout=_SECONDS)
        self.address = self._server.address
        self._connections = Connections(self.connect, address=self.address)
        with self.transaction() as connection:
            self._prepare(connection)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of its own.

        A commit does not wait for the disk: it is there before any later commit of the gallery is.

        Raises:
            StoreError: If the server cannot be reached.
        """
        connection = self._server.connect()
        with translated(self.address):
            connection.execute("SET synchronous_commit = off")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction, kept at the end of the block, unless it raises.

        Raises:
            StoreBusyError: If others kept something locked for too long.
            StoreError: If the server cannot be reached, read or written.
        """
        connection = self._begun()
        try:
            with translated(self.address):
                yield connection
                connection.execute("COMMIT")
        finally:
            if rolled_back(connection):
                self._connections.give_back(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self._connections.close()

    def _begun(self) -> psycopg.Connection[Any]:
        """A connection in a new transaction; those that broke while nobody used them are replaced."""
        connection = self._connections.take()
        try:
            connection.execute("BEGIN")
        except psycopg_module().OperationalError:
            connection.close()
            self._connections.forget_idle()
            connection = self.connect()
            with translated(self.address):
                connection.execute("BEGIN")
        return connection

    def _prepare(self, connection: psycopg.Connection[Any]) -> None:
        version = _version(connection)
        if version is None:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TURN,))
            version = _version(connection)  # another process may have been here
        if version is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
            connection.execute(f"CREATE TABLE {SCHEMA}.tables_version (version BIGINT)".encode())
            connection.execute(
                f"INSERT INTO {SCHEMA}.tables_version VALUES ({_VERSION})".encode()  # noqa: S608 - own names
            )
            for statement in _TABLES:
                connection.execute(statement.replace("{}", SCHEMA).encode())
        elif version != _VERSION:
            raise FileFormatError(
                f"{self.address}: expected version {_VERSION} of the tables in the schema {SCHEMA}, got {version}. "
                f"Stop all services of this gallery, then DROP SCHEMA {SCHEMA} CASCADE; nothing of the gallery is "
                f"in it."
            )


def _version(connection: psycopg.Connection[Any]) -> int | None:
    there = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.tables_version",)).fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute(f"SELECT version FROM {SCHEMA}.tables_version".encode()).fetchone()  # noqa: S608
    return None if row is None else int(row[0])
