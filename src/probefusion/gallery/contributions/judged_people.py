"""What can be expected of people's templates, remembered while template and record are the same. Thread-safe."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import FloatArray, Usability

__all__ = ["JudgedPeople"]

_MOST = 20_000
"""People that are remembered; the least used ones are forgotten."""


class JudgedPeople:
    """Remembers by the template itself, so that nothing is known of anybody who has none any more."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._found: OrderedDict[bytes, tuple[UsabilityRecord | None, Usability]] = OrderedDict()
        self._lock = threading.Lock()

    def find(
        self, model_id: str, vector: FloatArray, num_images: int, record: UsabilityRecord | None
    ) -> Usability | None:
        """What was told of a template, if it is remembered.

        Args:
            model_id: Of the model that it is by.
            vector: (D,) float32, the template.
            num_images: Images in it.
            record: By which it is estimated now, None where nothing was measured. What was estimated by another
                object is not given.
        """
        key = _key(model_id, vector, num_images)
        with self._lock:
            found = self._found.get(key)
            if found is None or found[0] is not record:
                return None
            self._found.move_to_end(key)
            return found[1]

    def keep(
        self,
        model_id: str,
        vector: FloatArray,
        num_images: int,
        record: UsabilityRecord | None,
        usability: Usability,
    ) -> None:
        """Remembers it; arguments as for `find`."""
        with self._lock:
            self._found[_key(model_id, vector, num_images)] = record, usability
            while len(self._found) > self._most:
                self._found.popitem(last=False)


def _key(model_id: str, vector: FloatArray, num_images: int) -> bytes:
    digest = hashlib.blake2b(f"{model_id} {num_images}\0".encode(), digest_size=16)
    digest.update(vector.tobytes())
    return digest.digest()
