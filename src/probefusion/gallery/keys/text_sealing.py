"""Names and sources sealed by the keys of the people and contributions that they are of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import cached_property

from probefusion.errors import MissingKeyError, ProbeFusionError, SealError
from probefusion.gallery.keys.encryption import Cipher, Place, join_parts
from probefusion.gallery.keys.wrapped_keys import KeyStore
from probefusion.gallery.stores.sealed_texts import TextPlace, TextSeal

__all__ = ["KeyedTexts", "check_none_lost"]

_SEALED = re.compile("sealed1:([0-9a-f]{32}):([A-Za-z0-9+/=]+)")
"""A sealed text: the id of its key, and the sealed bytes in base64."""


class KeyedTexts(TextSeal):
    """Seals texts with AES-256-GCM, and finds names by a keyed hash.

    The hash is HMAC-SHA256 with a key that is derived from the key file: it says which names of one collection are
    the same, and nothing else, to whom lacks the keys.

    Args:
        keys: The keys.
    """

    encrypts = True

    def __init__(self, keys: KeyStore) -> None:
        self._keys, self._cipher = keys, Cipher()

    @cached_property
    def _lookup_key(self) -> bytes:
        return self._keys.derive("names")

    def lookup(self, collection: str, name: str) -> bytes:
        """HMAC-SHA256 of collection and name."""
        return hmac.new(
            self._lookup_key, join_parts(collection.encode(), name.encode()), hashlib.sha256
        ).digest()

    def seal(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]], key_ids: Sequence[str | None]
    ) -> list[str]:
        """As `TextSeal.seal`."""
        keys = self._keys.get_many([key_id for key_id in key_ids if key_id is not None])
        sealed = []
        for (place, text), key_id in zip(texts, key_ids, strict=True):
            key = None if key_id is None else keys.get(key_id) or self._keys.get(key_id)
            content = self._cipher.seal(text.encode(), _place(collection, place), key)
            sealed.append(f"sealed1:{key_id}:{base64.b64encode(content).decode()}")
        return sealed

    def open(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]]
    ) -> list[str | ProbeFusionError | None]:
        """As `TextSeal.open`."""
        parts = [_SEALED.fullmatch(text) for _, text in texts]
        wanted = [part[1] for part in parts if part is not None]
        keys = self._keys.get_many(wanted) if wanted else {}
        absent = [key_id for key_id in wanted if key_id not in keys]
        gone = self._keys.destroyed(absent) if absent else frozenset()
        lost = len(set(absent) - gone)
        found: list[str | ProbeFusionError | None] = []
        for (place, _), part in zip(texts, parts, strict=True):
            if part is None:
                found.append(_not_opened(_place(collection, place)))
            elif part[1] in gone:
                found.append(None)
            elif part[1] not in keys:
                found.append(_lost(self._keys, lost))
            else:
                try:
                    content = base64.b64decode(part[2], validate=True)
                    plain = self._cipher.open(content, _place(collection, place), keys[part[1]])
                    found.append(plain.decode())
                except binascii.Error:
                    found.append(_not_opened(_place(collection, place)))
                except SealError as error:
                    found.append(error)
        return found

    def destroyed(self) -> frozenset[str]:
        """Ids of all keys that were destroyed."""
        return self._keys.all_destroyed()

    def key_of(self, text: str) -> str | None:
        """Id of the key that sealed a text."""
        part = _SEALED.match(text)
        return None if part is None else part[1]


def check_none_lost(keys: KeyStore, key_ids: Sequence[str]) -> None:
    """Refuses to go on without keys that are lost, which is not the same as destroyed.

    Args:
        keys: The keys.
        key_ids: Ids of keys that were not found.

    Raises:
        MissingKeyError: If one was not destroyed.
    """
    lost = len(set(key_ids) - keys.destroyed(key_ids)) if key_ids else 0
    if lost:
        raise _lost(keys, lost)


def _lost(keys: KeyStore, number: int) -> MissingKeyError:
    return MissingKeyError(
        f"key file {str(keys.path)!r}: it lacks {number} keys of people who were not forgotten. If it is an older "
        f"copy, put the newest one in its place; without them these people cannot be read."
    )


def _place(collection: str, place: TextPlace) -> Place:
    return Place(collection=collection, subject=place.subject, what=place.what)


def _not_opened(place: Place) -> SealError:
    return SealError(
        f"{place}: expected a sealed text, got another one, which this gallery never wrote. Restore the database "
        f"from a backup."
    )
