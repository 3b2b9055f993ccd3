"""A gallery in a file has one service: its sessions and idempotency keys lie in that one's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probefusion.errors import StoreBusyError, StoreError

__all__ = ["held_by_one"]


@contextmanager
def held_by_one(database: str | Path) -> Iterator[None]:
    """Keeps other services away from a database file for the time of the block; commands may use it beside.

    The lock file `DATABASE.serve` holds the process's number. It is let go of when the process ends, however it does.

    Raises:
        StoreBusyError: If another service has it.
        StoreError: If the lock file cannot be written.
    """
    import fcntl

    path = Path(f"{database}.serve")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}). Serving needs the right to write to the folder."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(Path(database), handle) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _held(database: Path, handle: int) -> StoreBusyError:
    number = os.pread(handle, 20, 0).decode("ascii", "replace")
    return StoreBusyError(
        f"{database.name}: another service (process {number or 'unknown'}) serves it, and a gallery in a file has one. "
        f"Call that one, stop it first, or move the gallery to PostgreSQL, which several may serve (probefusion "
        f"gallery export, then gallery import)."
    )
