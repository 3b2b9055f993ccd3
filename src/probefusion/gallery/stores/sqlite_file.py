"""The file of a gallery in SQLite: made, opened, checked, brought to the newest version, locked."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    MissingFileError,
    ProbeFusionError,
    StoreBusyError,
    StoreError,
)
from probefusion.gallery.stores.schema import MIGRATIONS, SQLITE, steps_from

__all__ = ["backups", "connect", "locked", "prepare", "translated"]

APPLICATION_ID = 0x70664741
"""What SQLite's header says the file is of: "pfGA"."""

_POLL = 0.004
"""Seconds between two tries for the turn."""

_POLL_NEXT = 0.001
"""Seconds between two tries for the lock by the one whose turn is next."""

_PRIVATE = 0o600

_DAMAGED = ("not a database", "malformed", "decode", "no such", "unsupported file format")
"""What SQLite says of files that are damaged, or not its own."""


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Holds the lock file beside a database, so that writers take turns.

    Who wants the lock must hold the turn first, and hands it on with the lock in hand: so who has just written stands
    behind all who wait, however fast it comes back.

    Args:
        path: The database.
        timeout: Seconds to wait for others.

    Raises:
        StoreBusyError: If others held it for longer.
        StoreError: If it cannot be written.
    """
    end = time.monotonic() + timeout
    turn = FileLock(f"{path}.turn", mode=_PRIVATE, thread_local=False)
    lock = FileLock(f"{path}.lock", mode=_PRIVATE, thread_local=False)
    try:
        turn.acquire(timeout=timeout, poll_interval=_POLL)
        try:
            lock.acquire(timeout=max(0.0, end - time.monotonic()), poll_interval=_POLL_NEXT)
        finally:
            turn.release()
    except Timeout:
        raise StoreBusyError(
            f"{path}: others wrote to it for longer than {timeout:g} s; nothing was changed. Try again."
        ) from None
    except OSError as error:
        raise StoreError(
            f"{path}.lock cannot be written ({error.strerror}); nothing was changed. "
            "Writing needs the right to write to the folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Errors of SQLite inside the block become errors of one clear line.

    Raises:
        StoreBusyError: If another program keeps the database locked.
        FileFormatError: If the file is damaged, or no database.
        ConfigError: If a row names another that is not there.
        StoreError: If the file cannot be read or written.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _clear(path, error) from error


def _clear(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> ProbeFusionError:
    said = " ".join(str(error).split())
    if "FOREIGN KEY" in said:
        return ConfigError(
            "a row names a person, contribution, image or model that is not there; nothing was changed"
        )
    if "locked" in said:
        return StoreBusyError(
            f"{path}: another program keeps it locked; nothing was changed. Try again."
        )
    if any(part in said for part in _DAMAGED):
        return FileFormatError(
            f"{path}: expected a gallery of probefusion, got a file that is damaged or no SQLite database "
            f"({said}); nothing was changed. Restore it from a backup."
        )
    reasons = {
        "full": "the disk is full; make room",
        "readonly": "the file or its folder is read-only; give the right to write",
        "unable to open": "it cannot be opened; SQLite needs the right to read and write the file and its folder",
        "disk I/O": "the disk cannot be read or written, or a limit on file sizes was met",
    }
    reason = next((words for part, words in reasons.items() if part in said), "SQLite failed")
    return StoreError(f"{path}: {reason} ({said}); nothing was changed.")


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a database that is there, with all safety turned on.

    Args:
        path: The database.
        timeout: Seconds that a statement waits for other programs.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        for setting in (
            "synchronous = FULL",
            "secure_delete = ON",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "temp_store = MEMORY",  # VACUUM's copy never lies in another folder
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(path: Path, *, create: bool, timeout: float) -> None:
    """Makes a database unless it is there, checks what is there, and brings it to the newest version.

    Raises:
        MissingFileError: If it is not there and is not to be made, or the folder is not there.
        FileFormatError: If it is no gallery, damaged, or of a newer version.
        StoreBusyError: If others wrote to it for too long.
        StoreError: If it cannot be read or written.
    """
    if not path.parent.is_dir():
        raise MissingFileError(f"{path.parent}: expected a folder for {path.name}; make it first")
    if path.is_dir():
        raise FileFormatError(f"{path}: expected a gallery of probefusion, got a folder")
    if not path.exists():
        if not create:
            raise MissingFileError(f"{path}: expected a gallery, and there is no such file")
        with locked(path, timeout), translated(path):
            if not path.exists():
                _make(path)
    if path.stat().st_size == 0:
        raise FileFormatError(
            f"{path}: expected a gallery of probefusion, got an empty file; nothing was changed. "
            "Restore it from a backup, or delete it to begin a new one."
        )
    with translated(path), closing(connect(path, timeout)) as connection:
        old = _version(path, connection) < len(MIGRATIONS)
    if old:
        with locked(path, timeout), translated(path):
            _migrate(path, timeout)


def check_version(path: Path, version: int) -> None:
    """Refuses tables of a version that this program does not know.

    Raises:
        FileFormatError: If the version is newer.
    """
    if version > len(MIGRATIONS):
        raise FileFormatError(
            f"{path}: expected version {len(MIGRATIONS)} of the tables or older, got version {version}, which a "
            "newer probefusion made; nothing was changed. Update with: pip install -U probefusion"
        )


def backups(path: Path) -> tuple[Path, ...]:
    """Copies of a database that were made before it was brought to a newer version."""
    return tuple(sorted(path.parent.glob(f"{_escaped(path.name)}.before-v*")))


def _version(path: Path, connection: sqlite3.Connection) -> int:
    """The version of the tables, after checking whose they are and that the file is whole."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise FileFormatError(
            f"{path}: expected a gallery of probefusion, got an SQLite database of another program; "
            "nothing was changed"
        )
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    check_version(path, version)
    connection.execute("SELECT COUNT(*) FROM collections").fetchone()
    return version


def _make(path: Path) -> None:
    """Makes a database under another name and moves it when it is whole."""
    if Path(f"{path}-wal").exists():
        raise FileFormatError(
            f"{path}-wal: a log without its database {path.name}; nothing was changed. "
            "Put the database back, or delete the log to begin a new gallery."
        )
    new = path.with_name(f"{path.name}.new")
    for rest in ("", "-wal", "-shm", "-journal"):
        Path(f"{new}{rest}").unlink(missing_ok=True)
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be made ({error.strerror}); nothing was changed"
        ) from error
    with closing(connect(new, 0)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        _step(connection, 0)
        connection.execute("COMMIT")
    new.replace(path)
    _sync(path.parent)


def _migrate(path: Path, timeout: float) -> None:
    with closing(connect(path, timeout)) as connection:
        version = _version(path, connection)
        if version >= len(MIGRATIONS):
            return
        _back_up(path, connection, version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            _step(connection, version)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise


def _step(connection: sqlite3.Connection, version: int) -> None:
    for statement in steps_from(version, SQLITE):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _back_up(path: Path, connection: sqlite3.Connection, version: int) -> None:
    copy = path.with_name(f"{path.name}.before-v{len(MIGRATIONS)}-of-v{version}")
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE))
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
