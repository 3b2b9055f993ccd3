"""Locks of folders: who holds one is alone in it.

On this machine's disks, and on shared ones that know locks, the system lets a lock go when its process ends, however it
ends. Behind a url the lock is a small object that is put only where there is none. S3 decides that itself; with other
stores fsspec looks before it writes, and the object is read again. It stays where a process is killed; then the message
names it, and it is removed by hand.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from probefusion.archives.files.remote_files import create_file
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    is_url,
    join,
    read_bytes,
    remove,
    shown_place,
)
from probefusion.errors import MismatchError, MissingFileError, StorageError
from probefusion.files import DRAFT_PREFIX
from probefusion.files.reading import in_one_line

__all__ = ["LOCK_NAME", "clean_drafts", "locked"]

LOCK_NAME = f"{DRAFT_PREFIX}lock"  # what begins so is listed as no file
_DRAFT = re.compile(re.escape(DRAFT_PREFIX) + r"[0-9a-f]{16}")


@contextmanager
def locked(folder: Place, problem: str) -> Iterator[None]:
    """Holds the lock of a folder, which is made if it is not there.

    Args:
        folder: Path or url.
        problem: What is said if somebody else holds it, whole sentences.

    Raises:
        MismatchError: If somebody else holds it.
        StorageError: If that cannot be told, or the folder may not be written to.
    """
    if is_url(absolute_place(folder)):
        with _object_lock(str(folder), problem):
            yield
        return
    path = Path(absolute_place(folder)) / LOCK_NAME
    lock = _file_lock(path, problem)
    try:
        yield
    finally:
        lock.release()


def clean_drafts(folder: Place, *, unchanged_for: float = 0.0) -> None:
    """Removes what killed processes have left half written in a folder; not in the folders in it, nor behind a url.

    Args:
        folder: The folder.
        unchanged_for: Seconds for which nothing was written to them: where others may be writing.
    """
    if is_url(absolute_place(folder)):
        return  # what is uploaded waits elsewhere
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in list(os.scandir(absolute_place(folder))):
            if not _DRAFT.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
                continue
            if time.time() - entry.stat().st_mtime >= unchanged_for:
                Path(entry.path).unlink(missing_ok=True)


def _file_lock(path: Path, problem: str) -> FileLock | SoftFileLock:
    """A lock that is held."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock: FileLock | SoftFileLock = FileLock(path, thread_local=False)
            lock.acquire(timeout=0)
        except NotImplementedError:  # a file system without locks
            lock = SoftFileLock(path.with_name(f"{LOCK_NAME}-file"), thread_local=False)
            lock.acquire(timeout=0)
    except Timeout:
        raise MismatchError(problem) from None
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(
            f"{shown_place(path.parent)!r}: is a file, a folder is needed there. Move it, or choose another name."
        ) from error
    except OSError as error:
        raise StorageError(
            f"{shown_place(path)!r}: cannot be locked ({error.strerror}). Look at the folder's permissions."
        ) from error
    return lock


@contextmanager
def _object_lock(folder: str, problem: str) -> Iterator[None]:
    place = join(folder, LOCK_NAME)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    holder = f"process {os.getpid()} of {socket.gethostname()}, since {now}".encode()
    if not create_file(place, holder) or _holder(place) != holder:
        by = in_one_line(_holder(place).decode(errors="replace")) or "nobody knows whom"
        raise MismatchError(
            f"{problem} It is held by {by}; if that was killed, delete {shown_place(place)!r} first."
        )
    try:
        yield
    finally:
        if _holder(place) == holder:
            remove(place)


def _holder(place: str) -> bytes:
    try:
        return read_bytes(place)
    except MissingFileError:
        return b""
