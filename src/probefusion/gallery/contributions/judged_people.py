"""What can be expected of people's templates, remembered while the template is the same. For several threads."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from probefusion.types import FloatArray, Usability

__all__ = ["JudgedPeople"]

_MOST = 20_000
"""People that are remembered; the least used ones are forgotten."""


class JudgedPeople:
    """Remembers by the template itself, so that nothing is known of anybody who has none any more."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._found: OrderedDict[bytes, Usability] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, model_id: str, vector: FloatArray, num_images: int) -> Usability | None:
        """What was told of a template, if it is remembered.

        Args:
            model_id: Of the model that it is by.
            vector: (D,) float32, the template.
            num_images: Images in it.
        """
        key = _key(model_id, vector, num_images)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def keep(
        self, model_id: str, vector: FloatArray, num_images: int, usability: Usability
    ) -> None:
        """Remembers it; arguments as for `find`."""
        with self._lock:
            self._found[_key(model_id, vector, num_images)] = usability
            while len(self._found) > self._most:
                self._found.popitem(last=False)


def _key(model_id: str, vector: FloatArray, num_images: int) -> bytes:
    digest = hashlib.blake2b(f"{model_id} {num_images}\0".encode(), digest_size=16)
    digest.update(vector.tobytes())
    return digest.digest()
