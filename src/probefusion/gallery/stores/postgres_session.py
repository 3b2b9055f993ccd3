"""One transaction of a gallery in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from probefusion.gallery.stores.postgres_connection import (
    as_psycopg,
    psycopg_module,
    translated,
)
from probefusion.gallery.stores.session import Session

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresSession", "rolled_back"]

_AT_A_TIME = 2000
"""Rows that a stream fetches at a time."""


class PostgresSession(Session):
    """A transaction on a server.

    Args:
        connection: In a transaction.
        address: What messages call the database.
        writes: Whether it may change anything.

    Attributes:
        keep: Whether it is to be committed.
    """

    def __init__(self, connection: psycopg.Connection[Any], address: str, *, writes: bool) -> None:
        self.keep = False
        self._connection = connection
        self._address = address
        self._writes = writes
        self._cursors: list[psycopg.ServerCursor[Any]] = []

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""
        with self._translated():
            return self._connection.execute(as_psycopg(statement), values, binary=True).fetchall()

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows that a statement gives, some at a time; all at once in a transaction that writes."""
        if self._writes:
            yield from self.rows(statement, values)
            return
        with self._translated():
            cursor = self._connection.cursor(f"stream_{len(self._cursors)}", binary=True)
            self._cursors.append(cursor)
            cursor.execute(as_psycopg(statement), values)
            rows = cursor.fetchmany(_AT_A_TIME)
        while rows:
            yield from rows
            with self._translated():
                rows = cursor.fetchmany(_AT_A_TIME)

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives the number of rows that it changed."""
        with self._translated():
            return self._connection.execute(as_psycopg(statement), values).rowcount

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement once for each row of values."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.executemany(as_psycopg(statement), rows)

    def index_anew(self) -> None:
        """Does nothing: a server keeps its indexes itself."""

    def end(self) -> None:
        """Closes what is open on the server."""
        self.ended = True
        for cursor in self._cursors:
            with suppress(psycopg_module().Error):
                cursor.close()

    def _translated(self) -> AbstractContextManager[None]:
        return self.using(translated(self._address))


def rolled_back(connection: psycopg.Connection[Any]) -> bool:
    """Whether a connection could be brought back to a state in which it can be used again."""
    psycopg = psycopg_module()
    try:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.rollback()
    except psycopg.Error:
        return False
    return bool(connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE)
