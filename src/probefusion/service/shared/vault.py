"""What a service keeps in a database is sealed by keys that only who asks for it can make again."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from typing import Any

import numpy as np

from probefusion.gallery.keys.encryption import Cipher, DataKey, Place, join_parts
from probefusion.service.shared.answers import KeptAnswer
from probefusion.types import EmbeddingSet

__all__ = ["Vault"]

_ARRAYS = ("embeddings", "style", "quality", "detector_scores", "media_ids", "sources")


class Vault:
    """Seals parts of sessions and answers with AES-256-GCM.

    The key of a session comes from its id, that of an answer from the caller's key and the idempotency key, and both
    from a secret of the gallery where it is encrypted. The database has none of the three: what is deleted, or left
    behind, cannot be read.

    Args:
        secret: Of the gallery's keys; b"" where it has none.

    Raises:
        MissingExtraError: If `cryptography` is not installed.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret, self._cipher = secret, Cipher()

    def seal_part(self, images: EmbeddingSet, session_id: str, place: int) -> bytes:
        """What came to a session at one time."""
        return self._cipher.seal(_packed(images), _part(place), self._key("session", session_id))

    def open_part(self, sealed: bytes, session_id: str, place: int) -> EmbeddingSet:
        """Opens it again.

        Raises:
            SealError: If it is not what was written.
        """
        key = self._key("session", session_id)
        return _unpacked(self._cipher.open(sealed, _part(place), key))

    def seal_answer(self, answer: KeptAnswer, *caller: bytes) -> bytes:
        """An answer to a caller."""
        texts = [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers
        ]
        facts = {"status": answer.status, "headers": texts, "is_kept": answer.body is not None}
        plain = json.dumps(facts).encode() + b"\n" + (answer.body or b"")
        return self._cipher.seal(plain, _ANSWER, self._key("answer", *caller))

    def open_answer(self, sealed: bytes, *caller: bytes) -> KeptAnswer:
        """Opens it again.

        Raises:
            SealError: If it is not what was written, or to another caller.
        """
        plain = self._cipher.open(sealed, _ANSWER, self._key("answer", *caller))
        head, _, body = plain.partition(b"\n")
        facts = json.loads(head)
        return KeptAnswer(
            status=facts["status"],
            headers=tuple((a.encode("latin-1"), b.encode("latin-1")) for a, b in facts["headers"]),
            body=body if facts["is_kept"] else None,
        )

    def _key(self, what: str, *of: str | bytes) -> DataKey:
        parts = [part.encode() if isinstance(part, str) else part for part in (what, *of)]
        secret = hmac.new(self._secret, join_parts(*parts), hashlib.sha256).digest()
        return DataKey(id=what, secret=secret)


_ANSWER = Place(collection="", subject="answer", what="answer")


def _part(place: int) -> Place:
    return Place(collection="", subject="session", what="part", of=str(place))


def _packed(images: EmbeddingSet) -> bytes:
    """A set with its chips, to the last bit."""
    arrays: dict[str, Any] = {
        name: getattr(images, name) for name in _ARRAYS if getattr(images, name) is not None
    }
    arrays["norms_known"] = np.array(images.norms_known)
    if images.embedder is not None:
        arrays["embedder"] = np.array(images.embedder)
    if images.chips is not None:
        arrays["chip_sizes"] = np.array(
            [-1 if chip is None else len(chip) for chip in images.chips], np.int64
        )
        joined = b"".join(chip for chip in images.chips if chip is not None)
        arrays["chips"] = np.frombuffer(joined, np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _unpacked(plain: bytes) -> EmbeddingSet:
    with np.load(io.BytesIO(plain), allow_pickle=False) as archive:
        arrays = dict(archive)
    chips: list[bytes | None] | None = None
    if "chip_sizes" in arrays:
        sizes = arrays["chip_sizes"].tolist()
        ends = np.cumsum([max(0, size) for size in sizes]).tolist()
        joined = arrays["chips"].tobytes()
        chips = [
            None if size < 0 else joined[end - size : end]
            for size, end in zip(sizes, ends, strict=True)
        ]
    columns: dict[str, Any] = {name: arrays.get(name) for name in _ARRAYS}
    return EmbeddingSet(
        **columns,
        embedder=str(arrays["embedder"]) if "embedder" in arrays else None,
        norms_known=bool(arrays["norms_known"]),
        chips=chips,
        was_stored=True,
    )
