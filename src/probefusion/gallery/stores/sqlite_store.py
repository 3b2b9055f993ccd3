"""Galleries in one file: SQLite, which comes with Python."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from probefusion.errors import FileFormatError, StoreError
from probefusion.gallery.stores.connections import Connections
from probefusion.gallery.stores.sql_store import SqlStore
from probefusion.gallery.stores.sqlite_file import (
    backups,
    check_version,
    connect,
    locked,
    prepare,
    translated,
)
from probefusion.gallery.stores.sqlite_session import SqliteSession, rolled_back

__all__ = ["SqliteStore"]

_POLL = 0.03
"""Seconds between two looks for a newer revision."""

_READERS_TIMEOUT = 1.0
"""Seconds that `overwrite` waits for readers."""


class SqliteStore(SqlStore[SqliteSession]):
    """A gallery in a file of SQLite.

    Many processes and threads may read while one writes; writers take turns at a lock file. What was written is on
    the disk before a block of `writing` ends (synchronous=FULL). The file, its log and its locks are readable by
    their owner alone.

    Args:
        path: The file; `-wal`, `-shm`, `.lock` and `.turn` lie beside it. Network folders are not safe.
        create: Whether to make it where there is none.
        timeout: Seconds to wait for other writers, >= 0.

    Raises:
        MissingFileError: If it is not there and is not to be made.
        FileFormatError: If it is no gallery, damaged, or of a newer version.
        StoreBusyError: If others wrote to it for too long.
        StoreError: If it cannot be read or written.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, create: bool = True, timeout: float = 30.0
    ) -> None:
        super().__init__()
        self._path = Path(
            os.path.realpath(path)
        )  # the same file after a change of folder; not a link to it
        self.address = str(self._path)
        self._timeout = timeout
        prepare(self._path, create=create, timeout=timeout)
        self._file = self._identity()
        self._connections = Connections(
            lambda: connect(self._path, self._timeout), address=self.address
        )

    def wait(self, collection: str, *, after: int, timeout: float) -> int:
        """Waits until a revision after `after` is there, at most `timeout` seconds; gives the newest.

        Raises:
            UnknownNameError: If there is no such collection.
        """
        end = time.monotonic() + timeout
        while (revision := self.revision(collection)) <= after:
            left = end - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_POLL, left))
        return revision

    def overwrite(self) -> tuple[str, ...]:
        """Overwrites what was deleted: in the file, and in the log beside it.

        The whole file is written anew (VACUUM): secure_delete alone leaves copies of small rows that SQLite moved
        between pages before they were deleted. It needs free room of twice the file, and writers wait meanwhile.

        Returns:
            What still keeps bytes, in words; () if nothing that this store reaches does.
        """
        self._connections.check()
        remaining = [f"the backup {copy} keeps them; delete it" for copy in backups(self._path)]
        with locked(self._path, self._timeout), translated(self._path), self._alone() as connection:
            try:
                connection.execute("VACUUM")
            except sqlite3.OperationalError as error:
                remaining.append(f"free pages of {self.address} keep them: VACUUM failed ({error})")
            connection.execute(f"PRAGMA busy_timeout = {int(_READERS_TIMEOUT * 1000)}")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            remaining.append(
                f"an open reader keeps {self.address} and {self.address}-wal as they were; "
                "try again when it has ended"
            )
        return tuple(remaining)

    def check(self) -> None:
        """Reads the whole file: compares tables with their indexes, and each row with its checksum.

        Raises:
            FileFormatError: If the file is damaged.
            IntegrityError: If a row is not what was written.
        """
        with self._transaction("BEGIN") as session:
            said = session.rows("PRAGMA integrity_check(1)")[0][0]
            wrong = session.rows("PRAGMA foreign_key_check")
        if said != "ok" or wrong:
            reason = (
                " ".join(str(said).split())
                if said != "ok"
                else f"{wrong[0][0]} has a row that names nothing"
            )
            raise FileFormatError(
                f"{self.address}: expected a whole database, got a damaged one ({reason}); nothing was "
                "changed. Restore it from a backup."
            )

        super().check()

    def close(self) -> None:
        """Lets go of the file; further use raises `ConfigError`."""
        self._connections.close()

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """A connection outside of any transaction."""
        self._check_same_file()
        with closing(connect(self._path, self._timeout)) as connection:
            yield connection

    def reads(self) -> AbstractContextManager[SqliteSession]:
        """A transaction that changes nothing, for the time of the block."""
        return self._transaction("BEGIN")

    @contextmanager
    def changes(self, *, keep: bool = True) -> Iterator[SqliteSession]:
        """A transaction that may change things; it is kept if the block ends and its session says so."""
        self._connections.check()
        with locked(self._path, self._timeout), self._transaction("BEGIN IMMEDIATE") as session:
            session.keep = keep
            yield session

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[SqliteSession]:
        with translated(self._path):
            connection = self._connections.take()
        try:
            with translated(self._path):
                connection.execute(begin)
                self._check_same_file()
                check_version(self._path, connection.execute("PRAGMA user_version").fetchone()[0])
            session = SqliteSession(connection, self._path, writes=begin != "BEGIN")
            try:
                yield session
            finally:
                session.end()
            if session.keep:
                self._commit(session)
        finally:
            if rolled_back(connection):
                self._connections.give_back(connection)
            else:
                connection.close()

    def _commit(self, session: SqliteSession) -> None:
        if session.failed:
            raise StoreError(
                f"{self.address}: a statement of the block failed before its end; nothing was changed"
            )
        with translated(self._path):
            session.connection.execute("COMMIT")

    def _identity(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _check_same_file(self) -> None:
        if self._identity() != self._file:
            raise StoreError(
                f"{self.address}: the file was deleted or replaced since it was opened; nothing was changed. "
                "Open the gallery again."
            )
