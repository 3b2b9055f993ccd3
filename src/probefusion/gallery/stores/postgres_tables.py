"""Tables of a gallery in PostgreSQL: made, checked, brought to the newest version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probefusion.errors import ConfigError, FileFormatError, MissingFileError, StoreError
from probefusion.gallery.stores.postgres_connection import SCHEMA, Server, translated
from probefusion.gallery.stores.schema import MIGRATIONS, POSTGRES, TABLES, steps_from

if TYPE_CHECKING:
    import psycopg

__all__ = ["BACKUPS", "check_version", "prepare"]

BACKUPS = "probefusion_before_v"
"""What the names of schemas begin with that hold copies from before a migration."""

_TURN = 0x70664741
"""Number of the lock that lets one process at a time make or migrate tables."""

_NO_STATISTICS = {
    "people": ("name", "name_hash"),
    "contributions": ("source",),
    "images": ("source", "media_id"),
    "payloads": ("payload",),
    "chips": ("chip",),
    "vectors": ("vector",),
    "reasons": ("reasons",),
    "changes": ("actor", "subjects", "edits"),
    "audit": ("entry",),
}
"""Columns of which the server is to keep no sample values: forgetting would not reach them."""


def check_version(address: str, version: int) -> None:
    """Refuses tables of a version that this program does not know.

    Raises:
        FileFormatError: If the version is newer.
    """
    if version > len(MIGRATIONS):
        raise FileFormatError(
            f"{address}: expected version {len(MIGRATIONS)} of the tables or older, got version {version}, which a "
            "newer probefusion made; nothing was changed. Update with: pip install -U probefusion"
        )


def prepare(server: Server, *, create: bool) -> None:
    """Makes the tables unless they are there, and brings them to the newest version.

    All is one transaction; tables of an older version are copied to a schema of their own first.

    Args:
        server: Where the database is.
        create: Whether to make them where there are none.

    Raises:
        MissingFileError: If they are not there and are not to be made.
        FileFormatError: If they are of a newer version, or the schema is of another program.
        ConfigError: If the database is not in UTF-8.
        StoreError: If the server cannot be reached or a right is missing.
    """
    connection = server.connect()
    try:
        with translated(server.address):
            version = _version(connection)
        _check_encoding(server, connection)
        if version is not None:
            check_version(server.address, version)
        if version == len(MIGRATIONS):
            return
        if version is None and not create:
            raise MissingFileError(f"{server.address}: expected a gallery, and there is none")
        with translated(server.address), connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TURN,))
            _bring_forward(server, connection)
    finally:
        connection.close()


def _bring_forward(server: Server, connection: psycopg.Connection[Any]) -> None:
    version = _version(connection)  # another process may have been here
    if version is None:
        if connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.people",)).fetchone() != (
            None,
        ):
            raise FileFormatError(
                f"{server.address}: the schema {SCHEMA} holds tables of another program; nothing was changed. "
                "Use a database of its own for the gallery."
            )
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute("CREATE TABLE tables_version (version BIGINT NOT NULL)")
        connection.execute("INSERT INTO tables_version VALUES (0)")
        version = 0
    elif version < len(MIGRATIONS):
        _back_up(connection, version)
    else:
        return
    for statement in steps_from(version, POSTGRES):
        connection.execute(statement.encode())
    for table, columns in _NO_STATISTICS.items():
        changes = ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in columns)
        connection.execute(f"ALTER TABLE {table} {changes}".encode())
    connection.execute("UPDATE tables_version SET version = %s", (len(MIGRATIONS),))


def _back_up(connection: psycopg.Connection[Any], version: int) -> None:
    schema = f"{BACKUPS}{len(MIGRATIONS)}_of_v{version}"
    connection.execute(f"CREATE SCHEMA {schema}".encode())
    for table in (*TABLES, "collections", "facts"):
        there = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.{table}",)).fetchone()
        if there in (None, (None,)):
            continue  # the older version had no such table
        connection.execute(f"CREATE TABLE {schema}.{table} AS TABLE {SCHEMA}.{table}".encode())


def _version(connection: psycopg.Connection[Any]) -> int | None:
    there = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.tables_version",)).fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT version FROM tables_version").fetchone()
    if row is None:
        raise StoreError(
            f"{SCHEMA}.tables_version: expected one row, got none; nothing was changed"
        )
    return int(row[0])


def _check_encoding(server: Server, connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SHOW server_encoding").fetchone()
    if row != ("UTF8",):
        encoding = "nothing" if row is None else row[0]
        raise ConfigError(
            f"{server.address}: expected a database in UTF8, got {encoding}; make one with: "
            "CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
