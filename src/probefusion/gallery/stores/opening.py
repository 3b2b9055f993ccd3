"""Where a gallery lies, by its address: a file, or a server of PostgreSQL."""

from __future__ import annotations

import os

from probefusion.gallery.stores.postgres_store import PostgresStore
from probefusion.gallery.stores.sqlite_store import SqliteStore
from probefusion.gallery.stores.store import Store

__all__ = ["is_server", "open_store"]

_SERVERS = ("postgresql://", "postgres://")


def is_server(address: str | os.PathLike[str]) -> bool:
    """Whether a gallery lies on a server, and not in a file."""
    return os.fspath(address).startswith(_SERVERS)


def open_store(
    address: str | os.PathLike[str], *, create: bool = True, timeout: float = 30.0
) -> Store:
    """Opens the database of a gallery.

    Args:
        address: Path of a file for SQLite, or a URL `postgresql://user:password@host/database`.
        create: Whether to make the tables where there are none.
        timeout: Seconds to wait for other writers, >= 0.

    Raises:
        MissingFileError: If it is not there and is not to be made.
        MissingExtraError: If a server is asked for and `probefusion[postgres]` is not installed.
        FileFormatError: If it is no gallery, damaged, or of a newer version.
        StoreBusyError: If others wrote to it for too long.
        StoreError: If it cannot be reached, read or written.
    """
    text = os.fspath(address)
    if is_server(text):
        return PostgresStore(text, create=create, timeout=timeout)
    return SqliteStore(text, create=create, timeout=timeout)
