"""Who may do what: keys of clients, each with a role, kept as hashes in a file that only its owner reads."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    ProbeFusionError,
    UnknownNameError,
)
from probefusion.files import replace_file
from probefusion.files.paths import check_file
from probefusion.files.records import read_record

__all__ = ["AccessFile", "AccessKey", "Role", "new_key", "revoke_key"]

Role: TypeAlias = Literal["read", "write", "admin"]
"""What a key allows: looking and searching; changing as well; forgetting and reading the trail as well."""

_log = logging.getLogger("probefusion.service")

_PREFIX = "pf"
_VERSION = 1
_STEP = "Make keys with probefusion serve-keys."
_RANK = {role: rank for rank, role in enumerate(get_args(Role))}


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """A key of a client; the secret itself is not kept.

    Args:
        id: What names it, also in the trail.
        name: Whose it is, in words.
        role: What it allows.
        collections: Of which collections; None is all.
        hash: SHA-256 of the secret, hexadecimal.
        expires: UTC time, ISO 8601, from which on it is worthless, or None.
    """

    id: str
    name: str
    role: Role
    collections: tuple[str, ...] | None
    hash: str
    expires: str | None = None

    def allows(self, role: Role, collection: str | None) -> bool:
        """Whether it is enough for a role in a collection; None is none in particular."""
        if _RANK[self.role] < _RANK[role]:
            return False
        return collection is None or self.collections is None or collection in self.collections

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= datetime.fromisoformat(self.expires)


@dataclass(frozen=True, kw_only=True)
class _Keys:
    format_version: int
    keys: tuple[AccessKey, ...]


class AccessFile:
    """The keys of a file, read again when the file changes: a revoked key is worthless at once.

    Args:
        path: The file.

    Raises:
        MissingFileError, FileFormatError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, AccessKey] = {}
        check_file(path, name="--access")
        self._refresh()

    def find(self, token: str) -> AccessKey | None:
        """The key of a token, or None where there is none, it is forged or it has expired.

        The comparison takes the same time whatever the secret.
        """
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        try:
            self._refresh()
        except (ProbeFusionError, OSError) as error:
            _log.error("the keys of clients cannot be read, so nobody is let in: %s", error)
            return None
        key = self._keys.get(key_id) if prefix == _PREFIX else None
        stored = "0" * 64 if key is None else key.hash
        is_right = hmac.compare_digest(_hash(secret), stored)
        if key is None or not is_right or key.has_expired(datetime.now(timezone.utc)):
            return None
        return key

    def named(self, token: str) -> str | None:
        """The id that a token names, if the file has such a key; whether the token is valid `find` tells."""
        key_id = token.partition("_")[2].partition("_")[0]
        return key_id if key_id in self._keys else None

    def _refresh(self) -> None:
        stat = self._path.stat() if self._path.exists() else None
        stamp = None if stat is None else (stat.st_mtime_ns, stat.st_ino)
        if stamp is not None and stamp == self._stamp:
            return
        with self._lock:
            self._keys = {key.id: key for key in read_keys(self._path)}
            self._stamp = stamp


def read_keys(path: Path) -> tuple[AccessKey, ...]:
    """The keys of a file; () if it is not there.

    Raises:
        FileFormatError: If it is no such file.
    """
    if not path.exists():
        return ()
    keys = read_record(path, _Keys, newest=_VERSION, step=_STEP).keys
    for key in keys:
        if key.expires is not None and not _is_time(key.expires):
            raise FileFormatError(
                f"{path.name}: expires: expected a time with a zone, ISO 8601, got {key.expires!r}. {_STEP}"
            )
    return keys


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def new_key(
    path: Path,
    *,
    name: str,
    role: Role,
    collections: Iterable[str] | None = None,
    expires: datetime | None = None,
) -> str:
    """Adds a key to a file, made if it is not there, and gives its token, which is kept nowhere.

    Raises:
        ConfigError: If the role is unknown or the time has no zone.
        FileFormatError: If the file is no file of keys.
    """
    if role not in _RANK:
        raise ConfigError(f"role: expected one of {', '.join(_RANK)}, got {role!r}.")
    if expires is not None and expires.tzinfo is None:
        raise ConfigError(f"expires: expected a time with a zone, got {expires}.")
    secret = secrets.token_urlsafe(32)
    key = AccessKey(
        id=secrets.token_hex(6),
        name=name,
        role=role,
        collections=None if collections is None else tuple(collections),
        hash=_hash(secret),
        expires=None if expires is None else expires.astimezone(timezone.utc).isoformat(),
    )
    with _locked(path):
        _write(path, (*read_keys(path), key))
    return f"{_PREFIX}_{key.id}_{secret}"


def revoke_key(path: Path, key_id: str) -> None:
    """Takes a key out of a file.

    Raises:
        UnknownNameError: If there is none of that id.
    """
    with _locked(path):
        keys = read_keys(path)
        kept = tuple(key for key in keys if key.id != key_id)
        if len(kept) == len(keys):
            raise UnknownNameError("key", key_id, [key.id for key in keys])
        _write(path, kept)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Others wait who change the same file: nothing that they write is lost."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, keys: tuple[AccessKey, ...]) -> None:
    content = asdict(_Keys(format_version=_VERSION, keys=keys))
    with replace_file(path, force=True) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(content, indent=2).encode() + b"\n")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
