"""Keys in a file of their own, wrapped by the master key: destroying one forgets what it sealed in every copy."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from probefusion.errors import ConfigError, MismatchError, MissingKeyError, StoreBusyError
from probefusion.files.paths import as_path
from probefusion.gallery.keys.encryption import KEY_BYTES, DataKey
from probefusion.gallery.keys.key_file import KeyFile, make_key_file
from probefusion.gallery.keys.master_key import WRAPPED_BYTES, KeyWrap, MasterKey, derive

__all__ = ["KeyStore"]

_AT_ONCE = 10_000
"""Keys that are asked for, or wrapped anew, at a time."""
_ROOT = "root"
"""Id of the secret from which `KeyStore.derive` derives; not one of the keys."""


class KeyStore:
    """The keys of a gallery. Many processes and threads may use the file at once.

    The file lies beside the database (`NAME.db.keys`), or anywhere on this machine for a PostgreSQL gallery. Its
    backups belong elsewhere than those of the database.

    Args:
        path: The file.
        master_key: What wraps the keys.
        make: Whether to make the file if it does not exist. Only for a gallery that is new: the keys of an old one
            must be found.
        read_only: Whether keys are only read, as for searching.
        timeout: Seconds to wait for other processes; at least 30 are wise.

    Attributes:
        path: The file, absolute.
        read_only: As given.

    Raises:
        MissingFileError: If the file does not exist and is not to be made.
        MismatchError: If another master key wraps the keys.
        ConfigError: If others may open the file.
        FileFormatError: If it is no file of keys, damaged, or of a newer version.
        MissingExtraError: If `cryptography` is not installed.

    Example:
        >>> path = getfixture("tmp_path") / "people.db.keys"
        >>> with KeyStore(path, MasterKey.generate(), make=True) as keys:
        ...     (key,) = keys.make_keys(1)
        ...     keys.get(key.id) == key, keys.destroy([key.id]), keys.count()
        (True, (), {'kept': 0, 'destroyed': 1})
    """

    def __init__(
        self,
        path: str | Path,
        master_key: MasterKey,
        *,
        make: bool = False,
        read_only: bool = False,
        timeout: float = 60.0,
    ) -> None:
        self._master_key = master_key
        self._wraps = {master_key.fingerprint: KeyWrap(master_key)}
        if make and not read_only:
            make_key_file(as_path(path, "key file"))
        self._file = KeyFile(path, read_only=read_only, timeout=timeout)
        self.path = self._file.path
        self.read_only = read_only
        try:
            if make and not read_only and self._file.is_empty():
                self._fill()
            self._file.check()
            with self._reading() as (connection, _):
                due = _fact(connection, "scrub") == "1"
            if due and not read_only:  # a process ended between a change and the cleaning after it
                self._clean(wait=timeout)
        except BaseException:
            self._file.close()
            raise

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the master key."""
        return self._master_key.fingerprint

    def make_keys(self, count: int) -> tuple[DataKey, ...]:
        """New keys, drawn by the operating system; they are on the disk when this returns.

        Args:
            count: How many; many at once cost little more than one.

        Raises:
            ConfigError: If the file was opened read-only.
            MismatchError: If the master key was changed since the file was opened.
            StoreBusyError: If others used the file for longer than the timeout.
            OSError: If the disk is full.
        """
        keys = tuple(
            DataKey(id=secrets.token_hex(16), secret=secrets.token_bytes(KEY_BYTES))
            for _ in range(count)
        )
        with self._writing() as (connection, wrap):
            rows = [(key.id, wrap.wrap(key.secret, key.id)) for key in keys]
            connection.executemany("INSERT INTO keys (id, wrapped, kept) VALUES (?, ?, 1)", rows)
        return keys

    def get(self, key_id: str) -> DataKey:
        """The key of an id.

        Raises:
            MissingKeyError: If it was destroyed, or was never in this file.
            SealError: If its bytes were changed.
            MismatchError, StoreBusyError: As for `make_keys`.
        """
        found = self.get_many([key_id])
        if found:
            return found[key_id]
        if self.destroyed([key_id]):
            raise MissingKeyError(
                f"key {key_id!r} was destroyed: what it sealed was forgotten and cannot be read any more."
            )
        raise MissingKeyError(
            f"key {key_id!r} is not in key file {str(self.path)!r}. Name the key file that belongs to the database, "
            f"or restore its newest backup."
        )

    def get_many(self, key_ids: Iterable[str]) -> Mapping[str, DataKey]:
        """The keys of many ids, as of one moment. Those destroyed or unknown are not in it.

        `destroyed` tells which were destroyed; one that is neither in it nor there is lost, or of another key file.

        Raises:
            SealError, MismatchError, StoreBusyError: As for `get`.
        """
        portions = _portions(key_ids)
        with self._reading() as (connection, wrap):
            rows = [
                row
                for marks, some in portions
                for row in connection.execute(
                    f"SELECT id, wrapped FROM keys WHERE kept = 1 AND id IN ({marks})",  # noqa: S608 - marks alone
                    some,
                )
            ]
        return {
            key_id: DataKey(id=key_id, secret=wrap.unwrap(wrapped, key_id))
            for key_id, wrapped in rows
        }

    def ids(self) -> tuple[str, ...]:
        """Ids of all keys that are kept, in the order in which they were made."""
        with self._reading() as (connection, _):
            rows = connection.execute(
                "SELECT id FROM keys WHERE kept = 1 AND id != ? ORDER BY seq", (_ROOT,)
            )
            return tuple(row[0] for row in rows)

    def destroyed(self, key_ids: Iterable[str]) -> frozenset[str]:
        """Those of some ids whose keys were destroyed: a restored database has to forget what they sealed."""
        portions = _portions(key_ids)
        with self._reading() as (connection, _):
            return frozenset(
                row[0]
                for marks, some in portions
                for row in connection.execute(
                    f"SELECT id FROM keys WHERE kept = 0 AND id IN ({marks})",  # noqa: S608 - marks alone
                    some,
                )
            )

    def all_destroyed(self) -> frozenset[str]:
        """Ids of all keys that were destroyed."""
        with self._reading() as (connection, _):
            return frozenset(
                row[0] for row in connection.execute("SELECT id FROM keys WHERE kept = 0")
            )

    def count(self) -> dict[str, int]:
        """How many keys are "kept" and how many "destroyed"."""
        with self._reading() as (connection, _):
            rows = dict(
                connection.execute(
                    "SELECT kept, count(*) FROM keys WHERE id != ? GROUP BY kept", (_ROOT,)
                ).fetchall()
            )
        return {"kept": int(rows.get(1, 0)), "destroyed": int(rows.get(0, 0))}

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for a purpose, the same for as long as the file lives: a new master key changes nothing.

        Args:
            purpose: What they are for, as "audit"; other purposes give other bytes.
        """
        return derive(self.get(_ROOT).secret, purpose)

    def destroy(self, key_ids: Iterable[str], *, wait: float = 10.0) -> tuple[str, ...]:
        """Destroys keys: their bytes are in this file and in no file beside it any more.

        Can be called again with the same ids: it then completes what was left over. Ids that the file does not know
        have nothing to destroy.

        Args:
            key_ids: The keys.
            wait: Seconds to wait for others who use the file.

        Returns:
            What still keeps bytes, in words; () if nothing does. Where another process holds the file open in a
            transaction, nothing was destroyed yet and the words say so.

        Raises:
            ConfigError: If the file was opened read-only, or an id is that of no key.
            OSError: If the disk cannot be written.
        """
        key_ids = list(key_ids)
        if _ROOT in key_ids:
            raise ConfigError(
                f"key_ids: expected ids of keys, got {_ROOT!r}, which is none. Leave it out."
            )
        try:
            with self._file.writing(wait=wait) as connection:
                changed = connection.executemany(
                    "UPDATE keys SET wrapped = zeroblob(?), kept = 0 WHERE id = ? AND kept = 1",
                    [(WRAPPED_BYTES, key_id) for key_id in key_ids],
                ).rowcount
                if changed:
                    connection.execute("UPDATE facts SET value = '1' WHERE name = 'scrub'")
        except StoreBusyError:
            return (
                f"another process reads or changes key file {str(self.path)!r}: the keys are still in it",
            )
        return self._clean(wait=wait)

    def rotate(self, master_key: MasterKey) -> tuple[str, ...]:
        """Wraps all keys by another master key, all or none; the keys themselves stay.

        Other processes that have the file open are told so at their next use, and open it with the new master key.
        Keep the old one until this has returned.

        Args:
            master_key: The new one.

        Returns:
            As for `destroy`: what still keeps bytes that the old master key opens.

        Raises:
            ConfigError: If the file was opened read-only, or it is the same master key.
            MismatchError: If the master key was changed since the file was opened.
            SealError: If a key does not open; nothing was changed.
            StoreBusyError: If others used the file for longer than the timeout; nothing was changed.
            OSError: If the disk is full; nothing was changed.
        """
        if master_key == self._master_key:
            raise ConfigError(
                f"master key: expected a new one, got the one in use ({self.fingerprint}). Make one first."
            )
        new = KeyWrap(master_key)
        # Other threads use whichever of the two the file says, before and after the change.
        self._wraps = {**self._wraps, master_key.fingerprint: new}
        try:
            with self._writing() as (connection, old):
                self._wrap_anew(connection, old, new)
                connection.execute(
                    "UPDATE facts SET value = ? WHERE name = 'fingerprint'",
                    (master_key.fingerprint,),
                )
        except BaseException:
            self._wraps = {self.fingerprint: self._wraps[self.fingerprint]}
            raise
        self._master_key, self._wraps = master_key, {master_key.fingerprint: new}
        return self._clean(wait=10.0)

    def close(self) -> None:
        """Lets go of the file; further use raises `ConfigError`."""
        self._file.close()

    def __enter__(self) -> KeyStore:
        """The store itself; closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the store."""
        self.close()

    def __repr__(self) -> str:
        """Path and fingerprint."""
        return f"KeyStore({str(self.path)!r}, master key {self.fingerprint})"

    def _fill(self) -> None:
        root = self._wraps[self.fingerprint].wrap(secrets.token_bytes(KEY_BYTES), _ROOT)
        with self._file.writing() as connection:
            if self._file.make_tables(connection):
                facts = {"fingerprint": self.fingerprint, "scrub": "0"}
                connection.executemany(
                    "INSERT INTO facts (name, value) VALUES (?, ?)", facts.items()
                )
                connection.execute(
                    "INSERT INTO keys (id, wrapped, kept) VALUES (?, ?, 1)", (_ROOT, root)
                )

    @contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, KeyWrap]]:
        with self._file.reading() as connection:
            yield connection, self._wrap_of(connection)

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, KeyWrap]]:
        with self._file.writing() as connection:
            yield connection, self._wrap_of(connection)

    def _wrap_of(self, connection: sqlite3.Connection) -> KeyWrap:
        """What wraps the keys at this moment."""
        found = _fact(connection, "fingerprint")
        wrap = self._wraps.get(str(found))
        if wrap is None:
            raise MismatchError(
                f"key file {str(self.path)!r}: its keys are wrapped by the master key with fingerprint {found}, got "
                f"the one with {self.fingerprint}. Give the right one; it may have been changed since."
            )
        return wrap

    def _wrap_anew(self, connection: sqlite3.Connection, old: KeyWrap, new: KeyWrap) -> None:
        for rows in _rows_in_parts(connection):
            connection.executemany(
                "UPDATE keys SET wrapped = ? WHERE seq = ?",
                [
                    (new.wrap(old.unwrap(wrapped, key_id), key_id), seq)
                    for seq, key_id, wrapped in rows
                ],
            )
        connection.execute("UPDATE facts SET value = '1' WHERE name = 'scrub'")

    def _clean(self, *, wait: float) -> tuple[str, ...]:
        """Overwrites what a change left over; says what is left still."""
        try:
            self._file.scrub(wait=wait)
            if self._file.may_have_stale_copies():
                self._file.rebuild(wait=wait)
                self._file.scrub(wait=wait)
        except StoreBusyError:
            return (
                f"another process uses key file {str(self.path)!r}: its journal may still hold old bytes",
            )
        return ()


def _fact(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _portions(key_ids: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Ids in portions that one query takes, each with its question marks."""
    ids = list(dict.fromkeys(key_ids))
    portions = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    return [(", ".join("?" * len(some)), some) for some in portions]


def _rows_in_parts(connection: sqlite3.Connection) -> Iterator[list[tuple[int, str, bytes]]]:
    """Number, id and wrapped form of all keys that are kept, some at a time."""
    last = -1
    while rows := connection.execute(
        "SELECT seq, id, wrapped FROM keys WHERE kept = 1 AND seq > ? ORDER BY seq LIMIT ?",
        (last, _AT_ONCE),
    ).fetchall():
        last = rows[-1][0]
        yield rows
