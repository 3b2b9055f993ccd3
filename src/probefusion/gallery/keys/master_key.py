"""The master key, which wraps all keys of a gallery: from the environment, or from a file that only its owner reads."""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probefusion.errors import ConfigError, FileFormatError, MissingFileError, SealError
from probefusion.extras import import_extra
from probefusion.files.paths import as_path, check_output_file
from probefusion.gallery.keys.encryption import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    join_parts,
    load_aes_gcm,
)

__all__ = ["MASTER_KEY_VARIABLE", "KeyWrap", "MasterKey", "read_master_key", "write_master_key"]

MASTER_KEY_VARIABLE = "PROBEFUSION_MASTER_KEY"
"""Environment variable that holds the master key, in base64 or hexadecimal digits."""

WRAP_MARK = b"PFKEY\x00\x00\x01"
"""First bytes of every wrapped key: they are found in raw files by it."""
WRAPPED_BYTES = len(WRAP_MARK) + NONCE_BYTES + KEY_BYTES + TAG_BYTES
"""Bytes of a wrapped key."""

_LARGEST_FILE = 4096
_FEWEST_VALUES = 8
"""A key with fewer different bytes was typed, not drawn: 32 random bytes have so few once in 10**30."""
_FORM = f"{KEY_BYTES} random bytes in base64 (44 characters) or {2 * KEY_BYTES} hexadecimal digits"


@dataclass(frozen=True, kw_only=True)
class MasterKey:
    """32 secret bytes. They appear in no repr, message or log; two are equal if their fingerprints are.

    Args:
        secret: 32 random bytes.

    Attributes:
        fingerprint: 16 hexadecimal digits that tell keys apart and say nothing of them.

    Raises:
        ConfigError: If they are not 32 bytes, or clearly not random.
        MissingExtraError: If `cryptography` is not installed.
    """

    secret: bytes = field(repr=False, compare=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        """Checks the bytes and takes their fingerprint."""
        if len(self.secret) != KEY_BYTES:
            raise ConfigError(
                f"master key: expected {_FORM}, got {len(self.secret)} bytes. Make one with write_master_key."
            )
        if len(set(self.secret)) < _FEWEST_VALUES:
            raise ConfigError(
                f"master key: expected {_FORM}, got bytes that repeat. Make one with write_master_key."
            )
        object.__setattr__(self, "fingerprint", derive(self.secret, "fingerprint")[:8].hex())

    @classmethod
    def generate(cls) -> MasterKey:
        """A new key, from the random numbers of the operating system."""
        return cls(secret=secrets.token_bytes(KEY_BYTES))


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from which the secret cannot be found (HKDF with SHA-256).

    Args:
        secret: 32 random bytes.
        purpose: What they are for; other purposes give other bytes.

    Raises:
        MissingExtraError: If `cryptography` is not installed.
    """
    wanted = {"extra": "gallery", "purpose": "encrypting a gallery"}
    hkdf = import_extra("cryptography.hazmat.primitives.kdf.hkdf", **wanted)
    hashes = import_extra("cryptography.hazmat.primitives.hashes", **wanted)
    info = join_parts(b"probefusion", purpose.encode())
    derived = hkdf.HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info)
    return bytes(derived.derive(secret))


class KeyWrap:
    """Wraps keys by a master key, each bound to its id.

    Args:
        master_key: The master key.
    """

    def __init__(self, master_key: MasterKey) -> None:
        aes_gcm, self._invalid = load_aes_gcm()
        self._aes_gcm = aes_gcm(derive(master_key.secret, "key wrap"))

    def wrap(self, secret: bytes, key_id: str) -> bytes:
        """The wrapped form of a key: 68 bytes, other ones each time."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return WRAP_MARK + nonce + bytes(self._aes_gcm.encrypt(nonce, secret, _bound(key_id)))

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """The key again.

        Raises:
            SealError: If another master key wrapped it, it is that of another id, or it was changed.
        """
        # Where a file is damaged, SQLite gives text or a number for what was written as bytes.
        if not isinstance(wrapped, bytes) or len(wrapped) != WRAPPED_BYTES:
            raise _not_unwrapped(key_id)
        if not wrapped.startswith(WRAP_MARK):
            raise _not_unwrapped(key_id)
        nonce, rest = (
            wrapped[len(WRAP_MARK) :][:NONCE_BYTES],
            wrapped[len(WRAP_MARK) + NONCE_BYTES :],
        )
        try:
            return bytes(self._aes_gcm.decrypt(nonce, rest, _bound(key_id)))
        except self._invalid:
            raise _not_unwrapped(key_id) from None


def _bound(key_id: str) -> bytes:
    return join_parts(b"probefusion key", WRAP_MARK, key_id.encode())


def _not_unwrapped(key_id: str) -> SealError:
    return SealError(
        f"key {key_id!r}: it does not open: it was wrapped by another master key, or the key file was changed. "
        f"Restore the key file from a backup."
    )


def read_master_key(
    path: str | Path | None = None, *, environment: Mapping[str, str] | None = None
) -> MasterKey | None:
    """The master key of a file, or else of the environment.

    Args:
        path: A file that holds it, or None: the variable PROBEFUSION_MASTER_KEY is looked at.
        environment: In place of the environment of this process.

    Returns:
        The key, or None if no path was given and the variable is not set.

    Raises:
        ConfigError: If it is no 32 bytes in base64 or hexadecimal digits; or others may read the file.
        MissingFileError: If there is no such file.
        FileFormatError: If the file is none, is too long, or cannot be read.
        MissingExtraError: If `cryptography` is not installed.
    """
    if path is not None:
        path = as_path(path, "master key file")
        return MasterKey(secret=_decoded(_read_private(path), f"master key file {str(path)!r}"))
    text = (os.environ if environment is None else environment).get(MASTER_KEY_VARIABLE)
    if text is None:
        return None
    return MasterKey(secret=_decoded(text, f"environment variable {MASTER_KEY_VARIABLE}"))


def write_master_key(path: str | Path, master_key: MasterKey | None = None) -> MasterKey:
    """Writes a master key to a new file that only its owner can read; it is on the disk when this returns.

    Args:
        path: The file; it must not exist.
        master_key: The key, or None: a new one.

    Returns:
        The key.

    Raises:
        OutputExistsError: If there is something already: a key is never overwritten.
        MissingFileError, PermissionError, OSError: If the file cannot be written.
    """
    path = check_output_file(path, force=False)
    key = MasterKey.generate() if master_key is None else master_key
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(base64.b64encode(key.secret) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return key


def sync_folder(folder: Path) -> None:
    """Puts the names of a folder on the disk, where the operating system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_private(found: os.stat_result, name: str) -> None:
    """Refuses a file that others than its owner may open, or that is another user's.

    Args:
        found: What is known of the file.
        name: How messages name it.

    Raises:
        ConfigError: If it is not private.
    """
    if os.name != "posix":
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o177:
        raise ConfigError(
            f"{name}: expected permissions 0600 or fewer, got {mode:04o}: others may open it. Run chmod 600 on it."
        )
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{name}: expected a file of this user ({os.geteuid()}), got one of user {found.st_uid}. "
            f"Run chown on it, or run as that user."
        )


def _read_private(path: Path) -> str:
    name = f"master key file {str(path)!r}"
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise MissingFileError(
            f"{name} does not exist. Make one with write_master_key, or name another."
        ) from error
    except OSError as error:
        raise FileFormatError(
            f"{name} cannot be read ({error.strerror}). Check its permissions."
        ) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise FileFormatError(
                f"{name}: expected a file, got a folder, pipe or device. Name a file."
            )
        check_private(found, name)
        data = os.read(handle, _LARGEST_FILE + 1)
    finally:
        os.close(handle)
    if len(data) > _LARGEST_FILE:
        raise FileFormatError(
            f"{name}: expected {_FORM}, got a longer file. Check that it is the right one."
        )
    return data.decode("latin-1")


def _decoded(text: str, name: str) -> bytes:
    """The bytes of a text; no message shows any of it."""
    text = text.strip()
    is_hex = re.fullmatch(r"[0-9a-fA-F]+", text) is not None
    try:
        if is_hex:
            data = bytes.fromhex(text)
        else:
            standard = text.replace("-", "+").replace("_", "/").rstrip("=")
            data = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != KEY_BYTES:
        raise ConfigError(
            f"{name}: expected {_FORM}, got {len(text)} characters that are not. "
            f"Make one with write_master_key, or with: openssl rand -base64 32"
        )
    return data
