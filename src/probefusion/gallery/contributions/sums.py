"""A person's state, added up from the contributions in an order that only they themselves decide."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probefusion.fusion import Fuser
from probefusion.gallery.contributions.features import Kept
from probefusion.types import EmbeddingSet, FusionState, Template

__all__ = ["Part", "StateCache", "add_up", "digest_of", "part_of", "template_of", "without"]

_LARGEST_CACHE = 64 << 20
"""Bytes of states that are remembered."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What one contribution adds to the sums of a person.

    Args:
        contribution_id: Which.
        digest: SHA-256 of the plain bytes that it keeps.
        left_out: Places of images that were taken out, ascending.
        state: The state of the other images, or None if there are none.
    """

    contribution_id: str
    digest: bytes
    left_out: tuple[int, ...]
    state: FusionState | None

    @property
    def order(self) -> tuple[bytes, tuple[int, ...]]:
        """By what parts are ordered: two that are equal in it have equal states."""
        return self.digest, self.left_out


def digest_of(plain: bytes) -> bytes:
    """What orders contributions: SHA-256 of the bytes they keep."""
    return hashlib.sha256(plain).digest()


def without(kept: Kept, left_out: Sequence[int]) -> Kept | None:
    """What a contribution keeps without some of its images; None if none is left."""
    if not left_out or isinstance(kept, FusionState):
        return kept
    rows = np.setdiff1d(np.arange(len(kept)), np.asarray(left_out))
    return kept[rows] if len(rows) else None


def part_of(
    contribution_id: str, digest: bytes, kept: Kept, left_out: tuple[int, ...], fuser: Fuser
) -> Part:
    """What a contribution adds, by a fuser.

    Args:
        contribution_id: Which.
        digest: Of its plain bytes.
        kept: What was read from them.
        left_out: Places of images that were taken out.
        fuser: The fuser; that of the state if a state is kept.
    """
    left = without(kept, left_out)
    state = fuser.encode(left) if isinstance(left, EmbeddingSet) else left
    return Part(contribution_id=contribution_id, digest=digest, left_out=left_out, state=state)


def add_up(parts: Sequence[Part]) -> FusionState | None:
    """The state of all parts, the same bits in whatever order they are given; None if no image is left."""
    states = [part.state for part in sorted(parts, key=lambda part: part.order)]
    total: FusionState | None = None
    for state in states:
        if state is not None:
            total = state if total is None else total + state
    return total


def template_of(parts: Sequence[Part], fuser: Fuser) -> Template | None:
    """The template of all parts; None if no image is left.

    Raises:
        InvalidInputError: If the images cancel each other.
    """
    state = add_up(parts)
    return None if state is None else fuser.finish(state)


class StateCache:
    """Parts of contributions that were computed lately; contributions never change. For several threads."""

    def __init__(self, largest: int = _LARGEST_CACHE) -> None:
        self._largest = largest
        self._parts: OrderedDict[tuple[str, str, tuple[int, ...]], Part] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def find(self, contribution_id: str, model_id: str, left_out: tuple[int, ...]) -> Part | None:
        """The part, if it is remembered."""
        key = (contribution_id, model_id, left_out)
        with self._lock:
            part = self._parts.get(key)
            if part is not None:
                self._parts.move_to_end(key)
            return part

    def keep(self, model_id: str, part: Part) -> None:
        """Remembers a part; the least used ones are forgotten."""
        key = (part.contribution_id, model_id, part.left_out)
        with self._lock:
            self._take(key)
            self._parts[key] = part
            self._size += _size(part)
            while self._size > self._largest and len(self._parts) > 1:
                self._take(next(iter(self._parts)))

    def drop(self, contribution_id: str | None = None) -> None:
        """Forgets a contribution, or all."""
        with self._lock:
            for key in list(self._parts):
                if contribution_id in (None, key[0]):
                    self._take(key)

    def _take(self, key: tuple[str, str, tuple[int, ...]]) -> None:
        part = self._parts.pop(key, None)
        if part is not None:
            self._size -= _size(part)


def _size(part: Part) -> int:
    state = part.state
    if state is None:
        return 0
    return state.mass.nbytes + state.sums.nbytes + state.style_sums.nbytes
