"""The SQLite file of a gallery's keys: used by many processes at once, and nothing stays of what is overwritten."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from probefusion.errors import ConfigError, FileFormatError, MissingFileError, StoreBusyError
from probefusion.files.paths import as_path, check_file, check_output_file
from probefusion.gallery.keys.master_key import WRAP_MARK, check_private, sync_folder

__all__ = ["KeyFile", "make_key_file"]

VERSION = 1
"""Version of the tables."""
_APPLICATION = 0x50464B31
"""What SQLite's header says of a file of ours ("PFK1")."""

_BUSY, _LOCKED, _FULL, _READ_ONLY, _CANNOT_OPEN, _NO_DATABASE = 5, 6, 13, 8, 14, 26
"""Primary result codes of SQLite."""

_TABLES = (
    # Rows are appended and overwritten in place, so that SQLite never moves a wrapped key to another page.
    "CREATE TABLE keys (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, wrapped BLOB NOT NULL,"
    " kept INTEGER NOT NULL)",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def make_key_file(path: Path) -> None:
    """Makes an empty file that only its owner may open, unless there is one.

    Raises:
        MissingFileError, PermissionError, OSError: If it cannot be made.
    """
    if path.exists():
        return
    check_output_file(path, force=True)
    with suppress(FileExistsError):  # another process was faster
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        sync_folder(path.parent)


class KeyFile:
    """The file, with one connection for each process; threads take turns.

    A process that was forked while a thread changed the file finds it busy; it does no harm.

    Args:
        path: The file; it must exist.
        read_only: Whether nothing is ever written, as on a read-only disk.
        timeout: Seconds to wait for other processes.

    Raises:
        MissingFileError: If it does not exist.
        ConfigError: If others may open it.
        FileFormatError: If it is no file of keys, or of a newer version.
    """

    def __init__(self, path: str | Path, *, read_only: bool, timeout: float) -> None:
        # As SQLite does it: beside a link's target, not beside the link, lies the journal.
        self.path = as_path(path, "key file").resolve()
        self.read_only = read_only
        self.timeout = timeout
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._is_closed = False

    @property
    def journal(self) -> Path:
        """Where SQLite keeps what a change replaces, until the change is done."""
        return self.path.with_name(self.path.name + "-journal")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the file, for the time of the block.

        Raises:
            StoreBusyError: If another process wrote for longer than the timeout.
            FileFormatError: If the file is damaged.
        """
        with self._held() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self, *, wait: float | None = None) -> Iterator[sqlite3.Connection]:
        """One change: all of it is on the disk when the block ends, or nothing of it if it raises.

        Args:
            wait: Seconds to wait for others, in place of the timeout.

        Raises:
            ConfigError: If the file was opened read-only.
            StoreBusyError: If others used the file for longer than that; nothing was changed.
            OSError: If the disk is full; nothing was changed.
        """
        if self.read_only:
            raise ConfigError(
                f"key file {str(self.path)!r}: opened read-only, it is not changed. Open it for writing."
            )
        with self._held() as connection:
            if wait is not None:
                connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(self.timeout * 1000)}")

    def is_empty(self) -> bool:
        """Whether the file has no tables yet."""
        with self.reading() as connection:
            return _number(connection, "SELECT count(*) FROM sqlite_master") == 0

    def make_tables(self, connection: sqlite3.Connection) -> bool:
        """Makes the tables inside a change unless they are there; says whether it did."""
        if _number(connection, "SELECT count(*) FROM sqlite_master"):
            return False
        for statement in _TABLES:
            connection.execute(statement)
        return True

    def check(self) -> None:
        """Refuses a file that is none of ours, or of a newer version.

        Raises:
            FileFormatError: If so.
        """
        with self.reading() as connection:
            application = _number(connection, "PRAGMA application_id")
            version = _number(connection, "PRAGMA user_version")
        if application != _APPLICATION:
            raise FileFormatError(
                f"key file {str(self.path)!r}: expected a file of gallery keys, got another database or an empty "
                f"file. Name the right one, or restore it from its backup."
            )
        if version > VERSION:
            raise FileFormatError(
                f"key file {str(self.path)!r}: expected version {VERSION}, got {version}. "
                f"Update probefusion: pip install -U probefusion"
            )

    def scrub(self, *, wait: float | None = None) -> None:
        """Overwrites the journal, which holds what was replaced, with zeros and empties it.

        Nobody else can use the journal meanwhile: whoever changes the file waits.

        Raises:
            StoreBusyError: If others used the file for longer than one waits.
        """
        with self.writing(wait=wait) as connection:
            self._overwrite_journal()
            connection.execute("UPDATE facts SET value = '0' WHERE name = 'scrub'")

    def _overwrite_journal(self) -> None:
        # This file, unlike the database, may be opened beside SQLite: no locks lie on it.
        with suppress(FileNotFoundError), self.journal.open("r+b") as stream:
            left = os.fstat(stream.fileno()).st_size
            while left > 0:
                left -= stream.write(bytes(min(left, 1 << 20)))
            stream.flush()
            os.fsync(stream.fileno())
            stream.truncate(0)
            os.fsync(stream.fileno())

    def may_have_stale_copies(self) -> bool:
        """Whether the raw bytes of the file hold more wrapped keys than are kept; True where one cannot look.

        SQLite itself reads the bytes: to open its file beside it would drop its locks.
        """
        with self.reading() as connection:
            kept = _number(connection, "SELECT count(*) FROM keys WHERE kept = 1")
            if not hasattr(connection, "serialize"):  # Python 3.10
                return True
            raw: bytes = connection.serialize()
        return raw.count(WRAP_MARK) != kept

    def rebuild(self, *, wait: float | None = None) -> None:
        """Writes the whole file anew from what is kept.

        Raises:
            StoreBusyError: If others used the file for longer than one waits.
        """
        with self._held() as connection:
            connection.execute(f"PRAGMA busy_timeout = {int((wait or self.timeout) * 1000)}")
            try:
                connection.execute("VACUUM")
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(self.timeout * 1000)}")

    def close(self) -> None:
        """Lets go of the file; further use raises `ConfigError`."""
        with self._lock:
            self._is_closed = True
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
                self._connection = None

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        if self._process != os.getpid():
            # After a fork the connection is the parent's: neither to be used here nor to be closed.
            self._lock = threading.RLock()
            self._process = os.getpid()
            if self._connection is not None:
                self._inherited.append(self._connection)
                self._connection = None
        with self._lock, _told(self.path):
            if self._is_closed:
                raise ConfigError(f"key file {str(self.path)!r} is closed. Open it again.")
            if self._connection is None:
                self._connection = self._connected()
            yield self._connection

    def _connected(self) -> sqlite3.Connection:
        name = f"key file {str(self.path)!r}"
        try:
            check_file(self.path, name="key file")
        except MissingFileError as error:
            raise MissingFileError(
                f"{name} does not exist: without it nothing that was encrypted can be read. "
                f"Restore it from its backup, or name the right one."
            ) from error
        check_private(self.path.stat(), name)
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={'ro' if self.read_only else 'rw'}",
            uri=True,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in ("secure_delete = ON", "temp_store = MEMORY", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(
                "PRAGMA cache_spill = OFF"
            )  # readers are locked out only for the commit
            if not self.read_only:
                # The journal's file stays, so that it can be overwritten: of a deleted one nobody can say where
                # its bytes are.
                connection.execute("PRAGMA journal_mode = PERSIST").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Gives SQLite's errors the file's name and one of our types."""
    name = f"key file {str(path)!r}"
    try:
        yield
    except UnicodeDecodeError as error:
        raise _damaged(name, error) from error
    except sqlite3.DatabaseError as error:
        code = _code_of(error)
        if code in (_BUSY, _LOCKED):
            raise StoreBusyError(
                f"{name}: another process uses it for longer than this one waits. Try again, or end that process."
            ) from error
        if code == _FULL:
            raise OSError(
                f"{name}: the disk is full; nothing was changed. Make room and try again."
            ) from error
        if code in (_READ_ONLY, _CANNOT_OPEN):
            raise PermissionError(
                f"{name} or its folder cannot be written ({error}). Change its permissions, or open it read-only."
            ) from error
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{name}: expected a file of gallery keys, could not read it ({error}). Restore it from its backup."
    )


def _code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; Python 3.10 tells it in words alone."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF
    words = {"locked": _BUSY, "full": _FULL, "readonly": _READ_ONLY, "unable to open": _CANNOT_OPEN}
    return next((code for word, code in words.items() if word in str(error)), _NO_DATABASE)
