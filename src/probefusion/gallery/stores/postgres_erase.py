"""Overwrites what was deleted in PostgreSQL: tables are written anew, and the server's log is used up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from probefusion.gallery.stores.postgres_connection import SCHEMA, psycopg_module
from probefusion.gallery.stores.postgres_tables import BACKUPS
from probefusion.gallery.stores.schema import TABLES

if TYPE_CHECKING:
    import psycopg

__all__ = ["PLAIN_TABLE", "overwrite_log", "overwrite_tables", "schemas_with_copies"]

PLAIN_TABLE = "plain_templates"
"""The table of plain templates, where somebody wanted one."""

_LOCK_WAIT = "2s"
"""How long a table may be in use before it is left as it is."""


def schemas_with_copies(connection: psycopg.Connection[Any]) -> list[str]:
    """Says which schemas hold copies from before a migration."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY nspname",
        (BACKUPS,),
    )
    return [
        f"the copy in schema {name} keeps them; DROP SCHEMA {name} CASCADE" for (name,) in found
    ]


def overwrite_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Writes tables anew without what was deleted (VACUUM FULL).

    Args:
        connection: Outside of any transaction.

    Returns:
        What still keeps bytes, in words.
    """
    errors = psycopg_module().errors
    said: list[tuple[str, str, str]] = []

    def listen(notice: psycopg.errors.Diagnostic) -> None:
        said.append(
            (
                notice.severity_nonlocalized or "",
                notice.message_primary or "",
                notice.message_detail or "",
            )
        )

    remaining = []
    plain = _one(connection, "SELECT to_regclass('probefusion.plain_templates') IS NOT NULL")
    tables = (*TABLES, "collections", "facts", *([PLAIN_TABLE] if plain == "True" else []))
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (_LOCK_WAIT,))
    connection.add_notice_handler(listen)
    try:
        for table in tables:
            said.clear()
            try:
                connection.execute(f"VACUUM (FULL, VERBOSE) {SCHEMA}.{table}".encode())
            except (errors.LockNotAvailable, errors.QueryCanceled):
                remaining.append(
                    f"the table {table} is in use by others; try again when they have ended"
                )
                continue
            except errors.OperationalError as error:
                remaining.append(f"the table {table} could not be written anew ({_line(error)})")
                continue
            remaining += _kept(table, said)
    finally:
        connection.remove_notice_handler(listen)
    return remaining


def _kept(table: str, said: list[tuple[str, str, str]]) -> list[str]:
    warnings = [message for severity, message, _ in said if severity == "WARNING"]
    if warnings:
        return [f"the table {table} was not written anew ({warnings[0]})"]
    dead = [re.search(r"\d+", detail) for severity, _, detail in said if severity == "INFO"]
    if any(number is not None and int(number[0]) > 0 for number in dead):
        return [
            f"a transaction that began before keeps rows of {table}; try again when it has ended"
        ]
    return []


def overwrite_log(connection: psycopg.Connection[Any]) -> list[str]:
    """Uses up the write-ahead log: every file of it is begun anew, and those from before are let go of.

    A server keeps files of its log for later use with what they hold. So each is filled (the rest of a file that is
    left early is zeros): about as many bytes are written as the log has on the disk.

    Args:
        connection: Outside of any transaction; its user must be allowed pg_ls_waldir, pg_switch_wal and CHECKPOINT.

    Returns:
        What still keeps bytes, in words.
    """
    errors = psycopg_module().errors
    try:
        with_old = _one(connection, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        _switch(connection)
        connection.execute("CHECKPOINT")
        for _ in _log_files(connection):
            _switch(connection)
        connection.execute("CHECKPOINT")
        old = [name for name in _log_files(connection) if name[8:] <= with_old[8:]]
    except errors.InsufficientPrivilege as error:
        return [
            f"the write-ahead log of the server keeps them until its files are used again ({_line(error)}); "
            "let a superuser finish, or grant the rights to do so"
        ]
    except errors.OperationalError as error:
        return [f"the write-ahead log of the server keeps them ({_line(error)})"]
    if old:
        return [
            f"{len(old)} files of the server's write-ahead log from before are kept for replicas, slots or archives"
        ]
    return []


def _switch(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT pg_logical_emit_message(false, 'probefusion', '')")
    connection.execute("SELECT pg_switch_wal()")


def _log_files(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute("SELECT name FROM pg_ls_waldir()").fetchall()
    return [name for (name,) in rows if re.fullmatch(r"[0-9A-F]{24}", name)]


def _one(connection: psycopg.Connection[Any], statement: str) -> str:
    row = connection.execute(statement.encode()).fetchone()
    return "" if row is None else str(row[0])


def _line(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())
