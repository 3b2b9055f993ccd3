"""What a collection seals, where, and with which key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from probefusion.errors import ConfigError, MismatchError
from probefusion.gallery.keys.encryption import Cipher, DataKey, NoEncryption, Place, Sealing
from probefusion.gallery.keys.master_key import MasterKey, read_master_key
from probefusion.gallery.keys.text_sealing import KeyedTexts, check_none_lost
from probefusion.gallery.keys.wrapped_keys import KeyStore
from probefusion.gallery.stores.store import Store
from probefusion.types import FloatArray

__all__ = ["KEY_FILE_SUFFIX", "Sealer", "open_keys"]

KEY_FILE_SUFFIX = ".keys"
"""What the name of the key file has more than that of the database."""

_FACT = "key_file"
_TEXTS_FACT, _TEXTS_SEALED = "texts", "sealed 1"
_TEXTS_TO_OVERWRITE = "sealed 1, plain bytes to overwrite"
"""Names and sources are sealed, and what they were before may still lie in freed pages."""
"""Says that names and sources are sealed: galleries of older versions did not."""


class Sealer:
    """Seals and opens what one collection keeps.

    Args:
        collection: Its name.
        keys: The keys, or None where nothing is encrypted.
    """

    def __init__(self, collection: str, keys: KeyStore | None) -> None:
        self.collection, self.keys = collection, keys
        self._sealing: Sealing = NoEncryption() if keys is None else Cipher()

    def check_fits(self, store: Store) -> None:
        """Refuses to write plain what others seal: several processes may have opened a new database at once.

        Raises:
            ConfigError: If the database got keys since it was opened, or other ones.
        """
        expected = store.facts(_FACT)
        own = None if self.keys is None else _identity(self.keys)
        if expected != own:
            raise ConfigError(
                f"{store.address}: another process gave it {'other ' if own else ''}keys meanwhile; nothing was "
                f"changed. Open the gallery again, with these keys."
            )

    @property
    def encrypts(self) -> bool:
        """Whether there are keys."""
        return self.keys is not None

    def new_keys(self, count: int) -> Sequence[DataKey | None]:
        """New keys, or None for each where nothing is encrypted."""
        return [None] * count if self.keys is None else self.keys.make_keys(count)

    def key(self, key_id: str | None) -> DataKey | None:
        """The key of an id; raises MissingKeyError if it was destroyed."""
        return None if self.keys is None or key_id is None else self.keys.get(key_id)

    def known_keys(self, key_ids: Sequence[str | None]) -> Mapping[str, DataKey]:
        """Those of many keys that were not destroyed."""
        wanted = [key_id for key_id in key_ids if key_id is not None]
        return {} if self.keys is None or not wanted else self.keys.get_many(wanted)

    def check_destroyed(self, key_ids: Sequence[str]) -> None:
        """Refuses to go on without keys that are lost, which is not the same as destroyed.

        Raises:
            MissingKeyError: If one of the ids is of a key that is not there and was not destroyed.
        """
        if self.keys is not None:
            check_none_lost(self.keys, key_ids)

    def audit_key(self) -> bytes | None:
        """What signs audit entries, or None."""
        return None if self.keys is None else self.keys.derive("audit")

    def seal_kept(
        self, plain: bytes, contribution_id: str, embedder: str | None, key: DataKey | None
    ) -> bytes:
        """Seals what a contribution keeps of an embedder."""
        return self._sealing.seal(plain, self._kept_place(contribution_id, embedder), key)

    def open_kept(
        self, sealed: bytes, contribution_id: str, embedder: str | None, key: DataKey | None
    ) -> bytes:
        """Opens it again; raises SealError if it was changed."""
        return self._sealing.open(sealed, self._kept_place(contribution_id, embedder), key)

    def seal_vector(
        self, vector: FloatArray, person_id: str, model_id: str, key: DataKey | None
    ) -> bytes:
        """Seals a template (D,)."""
        plain = vector.astype("<f4").tobytes()
        return self._sealing.seal(plain, self._vector_place(person_id, model_id), key)

    def open_vector(
        self, sealed: bytes, person_id: str, model_id: str, key: DataKey | None
    ) -> FloatArray:
        """Opens it again; raises SealError if it was changed."""
        plain = self._sealing.open(sealed, self._vector_place(person_id, model_id), key)
        return np.frombuffer(plain, dtype="<f4").astype(np.float32)

    def seal_chip(self, plain: bytes, image_id: str, key: DataKey | None) -> bytes:
        """Seals a small picture."""
        return self._sealing.seal(plain, self._place(image_id, "chip"), key)

    def open_chip(self, sealed: bytes, image_id: str, key: DataKey | None) -> bytes:
        """Opens it again; raises SealError if it was changed."""
        return self._sealing.open(sealed, self._place(image_id, "chip"), key)

    def _kept_place(self, contribution_id: str, embedder: str | None) -> Place:
        return self._place(contribution_id, "kept", embedder or "")

    def _vector_place(self, person_id: str, model_id: str) -> Place:
        return self._place(person_id, "vector", model_id)

    def _place(self, subject: str, what: str, of: str = "") -> Place:
        return Place(collection=self.collection, subject=subject, what=what, of=of)


def open_keys(
    store: Store,
    keys: str | os.PathLike[str] | MasterKey | None,
    key_file: str | os.PathLike[str] | None,
) -> KeyStore | None:
    """The keys of a database; those of a new one are made if there is a master key.

    Args:
        store: The database.
        keys: The master key or its file; None looks at the environment.
        key_file: The file of the keys; None is beside a database that is a file.

    Raises:
        ConfigError: If the database was made with keys and there is no master key, or without and there is one; if
            it is not said where the keys of a server's database lie.
        MismatchError: If the key file belongs to another database.
        ProbeFusionError: As for `KeyStore` and `read_master_key`.
    """
    master = (
        keys
        if isinstance(keys, MasterKey)
        else read_master_key(keys if keys is None else Path(keys))
    )
    expected = store.facts(_FACT)
    if master is None:
        if expected is not None:
            raise ConfigError(
                f"{store.address}: its content is encrypted and no master key was given. Set PROBEFUSION_MASTER_KEY, "
                f"or give the file of the master key (keys=..., --keys)."
            )
        return None
    if expected is None and store.collections():
        raise ConfigError(
            f"{store.address}: it was made without keys, so its content cannot be encrypted now, and a master key was "
            f"given. Leave the master key out, or export the gallery and import it into a new one."
        )
    path = _key_path(store, key_file)
    found = KeyStore(path, master, make=expected is None)
    try:
        identity = _identity(found)
        if expected is None:
            store.set_fact(_FACT, identity)
        elif identity != expected:
            raise MismatchError(
                f"key file {str(path)!r}: it belongs to another database than {store.address}. Name the right one."
            )
        _seal_texts(store, found)
    except BaseException:
        found.close()
        raise
    return found


def _seal_texts(store: Store, keys: KeyStore) -> None:
    """From now on names and sources are sealed; in a gallery of an older version those that are there as well.

    What was plain is overwritten then as far as the store reaches, and again at each opening until nothing is left: a
    reader may have kept it, or the process may have ended in between. The copy that was made before the tables got
    their new version keeps it.
    """
    store.use_texts(KeyedTexts(keys))
    if store.facts(_TEXTS_FACT) is None and not store.seal_texts(_TEXTS_FACT, _TEXTS_TO_OVERWRITE):
        store.set_fact(_TEXTS_FACT, _TEXTS_SEALED)
    if store.facts(_TEXTS_FACT) == _TEXTS_TO_OVERWRITE and not store.overwrite():
        store.set_fact(_TEXTS_FACT, _TEXTS_SEALED)


def _identity(keys: KeyStore) -> str:
    return hashlib.sha256(keys.derive("identity")).hexdigest()[:32]


def _key_path(store: Store, key_file: str | os.PathLike[str] | None) -> Path:
    if key_file is not None:
        return Path(key_file)
    if "://" in store.address:
        raise ConfigError(
            f"key_file: {store.address} is a server; say where on this machine its keys lie: key_file=PATH."
        )
    return Path(store.address + KEY_FILE_SUFFIX)
