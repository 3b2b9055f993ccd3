"""One transaction of a gallery in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from probefusion.gallery.stores.session import Session
from probefusion.gallery.stores.sqlite_file import translated

__all__ = ["SqliteSession", "rolled_back"]

_AT_A_TIME = 1000
"""Rows that a stream fetches at a time."""


class SqliteSession(Session):
    """A transaction on a file.

    Args:
        connection: In a transaction.
        path: What messages call the database.
        writes: Whether it may change anything.

    Attributes:
        connection: The connection.
        keep: Whether it is to be committed.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, writes: bool) -> None:
        self.keep = False
        self.connection = connection
        self._path = path
        self._writes = writes
        self._cursors: list[sqlite3.Cursor] = []

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""
        with self._translated():
            return self.connection.execute(statement, values).fetchall()

    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows that a statement gives, some at a time; all at once in a transaction that writes."""
        if self._writes:  # rows that change while a cursor is open may come twice or not at all
            yield from self.rows(statement, values)
            return
        with self._translated():
            cursor = self.connection.execute(statement, values)
            self._cursors.append(cursor)
            rows = cursor.fetchmany(_AT_A_TIME)
        while rows:
            yield from rows
            with self._translated():
                rows = cursor.fetchmany(_AT_A_TIME)

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives the number of rows that it changed."""
        with self._translated():
            return self.connection.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement once for each row of values."""
        with self._translated():
            self.connection.executemany(statement, rows)

    def index_anew(self) -> None:
        """Makes all indexes anew from the tables."""
        self.run("REINDEX")

    def end(self) -> None:
        """Lets go of the snapshot: a cursor that is open would keep it."""
        self.ended = True
        for cursor in self._cursors:
            cursor.close()

    def _translated(self) -> AbstractContextManager[None]:
        return self.using(translated(self._path))


def rolled_back(connection: sqlite3.Connection) -> bool:
    """Whether a connection could be brought back to a state in which it can be used again."""
    try:
        connection.rollback()
    except sqlite3.Error:
        return False
    return not connection.in_transaction
