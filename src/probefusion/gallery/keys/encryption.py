"""Sealing what a gallery keeps: AES-256-GCM, bound to the place where the bytes belong."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from probefusion.errors import ConfigError, SealError
from probefusion.extras import import_extra

__all__ = ["Cipher", "DataKey", "NoEncryption", "Place", "Sealing", "join_parts", "load_aes_gcm"]

KEY_BYTES = 32
"""Bytes of an AES-256 key."""
NONCE_BYTES = 12
"""Bytes of a nonce; drawn anew for each seal. One key seals a few payloads, far from the 2**32 of GCM."""
TAG_BYTES = 16
"""Bytes that tell whether sealed bytes were changed."""
LARGEST_PLAIN = 2**31 - 64
"""Bytes that can be sealed at once."""

_PLAIN = b"\x00"
_AES_256_GCM = b"\x01"
"""First byte of sealed bytes: how they are sealed."""


def load_aes_gcm() -> tuple[Any, type[Exception]]:
    """The class `AESGCM` of `cryptography`, and the error with which it refuses.

    Raises:
        MissingExtraError: If `cryptography` is not installed.
    """
    wanted = {"extra": "gallery", "purpose": "encrypting a gallery"}
    aead = import_extra("cryptography.hazmat.primitives.ciphers.aead", **wanted)
    return aead.AESGCM, import_extra("cryptography.exceptions", **wanted).InvalidTag


def join_parts(*parts: bytes) -> bytes:
    """Bytes in a row, each after its length: no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where sealed bytes belong. They open nowhere else.

    Args:
        collection: Name of the collection.
        subject: Id of the contribution, person or image.
        what: What the bytes are: "features", "state", "vector", "chip".
        of: What else tells them apart, as the embedder's fingerprint or the model's id.
        version: Version of what is inside.
    """

    collection: str
    subject: str
    what: str
    of: str = ""
    version: int = 1

    def encoded(self) -> bytes:
        """The place as bytes; different places give different bytes."""
        texts = (self.collection, self.subject, self.what, self.of, str(self.version))
        return join_parts(*(text.encode("utf-8", "surrogatepass") for text in texts))

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.what} of {self.subject!r} in collection {self.collection!r}"


@dataclass(frozen=True, kw_only=True)
class DataKey:
    """A key that seals what belongs to one contribution or one person; never shown.

    Args:
        id: Opaque; stands beside what it seals.
        secret: 32 bytes.

    Raises:
        ConfigError: If the secret is not 32 bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Checks the length."""
        if len(self.secret) != KEY_BYTES:
            raise ConfigError(
                f"data key {self.id!r}: expected {KEY_BYTES} bytes, got {len(self.secret)}. "
                f"Take keys from the key file."
            )


class Sealing(ABC):
    """How a gallery seals bytes before a store sees them, and opens them after.

    Attributes:
        encrypts: Whether nobody can read sealed bytes without the key.
    """

    encrypts: bool

    @abstractmethod
    def seal(self, plain: bytes, place: Place, key: DataKey | None) -> bytes:
        """Seals bytes.

        Args:
            plain: What to seal.
            place: Where it belongs.
            key: The key; None exactly where nothing is encrypted.

        Returns:
            The sealed bytes: some 30 more than the plain ones; the first says how they are sealed.

        Raises:
            ConfigError: If a key is missing, or given for nothing, or there are too many bytes.
        """

    @abstractmethod
    def open(self, sealed: bytes, place: Place, key: DataKey | None) -> bytes:
        """Opens sealed bytes.

        Args:
            sealed: What `seal` gave.
            place: Where it lay.
            key: As for `seal`.

        Returns:
            The plain bytes, as they were.

        Raises:
            SealError: If the key is another, the place is another, or a single bit was changed or is missing.
            ConfigError: If a key is missing or given for nothing.
        """


class Cipher(Sealing):
    """AES-256-GCM: without the key nobody reads the bytes, changes them, or moves them elsewhere.

    Raises:
        MissingExtraError: If `cryptography` is not installed.

    Example:
        >>> cipher, place = Cipher(), Place(collection="main", subject="c1", what="features")
        >>> key = DataKey(id="k1", secret=bytes(range(32)))
        >>> sealed = cipher.seal(b"plain", place, key)
        >>> len(sealed), cipher.open(sealed, place, key)
        (34, b'plain')
    """

    encrypts = True

    def __init__(self) -> None:
        self._aes_gcm, self._invalid = load_aes_gcm()

    def seal(self, plain: bytes, place: Place, key: DataKey | None) -> bytes:
        """As `Sealing.seal`."""
        secret = _secret_of(key, place)
        _check_size(plain, place)
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = join_parts(_AES_256_GCM, place.encoded())
        return _AES_256_GCM + nonce + bytes(self._aes_gcm(secret).encrypt(nonce, plain, bound))

    def open(self, sealed: bytes, place: Place, key: DataKey | None) -> bytes:
        """As `Sealing.open`."""
        secret = _secret_of(key, place)
        if sealed[:1] == _PLAIN:
            raise SealError(
                f"{place}: expected encrypted bytes, got plain ones, which this gallery never wrote. "
                f"Restore the database from a backup."
            )
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != _AES_256_GCM or len(rest) < TAG_BYTES:
            raise _not_opened(place)
        bound = join_parts(_AES_256_GCM, place.encoded())
        try:
            return bytes(self._aes_gcm(secret).decrypt(nonce, rest, bound))
        except self._invalid:
            raise _not_opened(place) from None


class NoEncryption(Sealing):
    """Leaves bytes readable, with a checksum that finds damage and swapped rows; no help against a forger.

    Example:
        >>> place = Place(collection="main", subject="c1", what="features")
        >>> NoEncryption().open(NoEncryption().seal(b"plain", place, None), place, None)
        b'plain'
    """

    encrypts = False

    def seal(self, plain: bytes, place: Place, key: DataKey | None) -> bytes:
        """As `Sealing.seal`."""
        _check_no_key(key, place)
        _check_size(plain, place)
        return _PLAIN + _checksum(plain, place) + plain

    def open(self, sealed: bytes, place: Place, key: DataKey | None) -> bytes:
        """As `Sealing.open`."""
        _check_no_key(key, place)
        if sealed[:1] == _AES_256_GCM:
            raise SealError(
                f"{place}: expected plain bytes, got encrypted ones. Open the gallery with its master key."
            )
        checksum, plain = sealed[1 : 1 + TAG_BYTES], sealed[1 + TAG_BYTES :]
        if sealed[:1] != _PLAIN or not hmac.compare_digest(checksum, _checksum(plain, place)):
            raise _not_opened(place)
        return plain


def _checksum(plain: bytes, place: Place) -> bytes:
    return hashlib.sha256(join_parts(_PLAIN, place.encoded(), plain)).digest()[:TAG_BYTES]


def _not_opened(place: Place) -> SealError:
    return SealError(
        f"{place}: the sealed bytes do not open: the key is another, they belong elsewhere, or they were changed. "
        f"Restore the database and its key file from backups that belong together."
    )


def _secret_of(key: DataKey | None, place: Place) -> bytes:
    if key is None:
        raise ConfigError(
            f"{place}: expected a key to seal with, got None. Take one from the key file."
        )
    return key.secret


def _check_no_key(key: DataKey | None, place: Place) -> None:
    if key is not None:
        raise ConfigError(
            f"{place}: expected no key, got {key.id!r}: this gallery does not encrypt. Open it with its master key."
        )


def _check_size(plain: bytes, place: Place) -> None:
    if len(plain) > LARGEST_PLAIN:
        raise ConfigError(
            f"{place}: expected at most {LARGEST_PLAIN:,} bytes, got {len(plain):,}. Add fewer images at a time."
        )
