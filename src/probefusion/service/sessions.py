"""Streaming sessions: images come as a camera takes them, the template so far can be read at any time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from probefusion.service.problems import Refusal
from probefusion.service.settings import Limits
from probefusion.types import EmbeddingSet

__all__ = ["Session", "Sessions"]


@dataclass(eq=False, kw_only=True)
class Session:
    """Images of one person that came so far.

    Args:
        id: Names it; cannot be guessed.
        owner: Id of the key that opened it; no other key sees it.
        max_images: It takes so many.
        max_bytes: It takes so many bytes.
    """

    id: str
    owner: str
    max_images: int
    max_bytes: int
    sets: list[EmbeddingSet] = field(default_factory=list)
    is_closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    touched: float = 0.0

    @property
    def num_images(self) -> int:
        """Images that can be used."""
        return sum(images.num_images for images in self.sets)

    def add(self, sets: Sequence[EmbeddingSet]) -> None:
        """Takes images.

        Raises:
            Refusal: If they are too many.
            EmbedderMismatchError, ShapeError: If they are of another embedder.
        """
        with self.lock:
            if self.is_closed:
                raise _closed()
            total = self.num_images + sum(images.num_images for images in sets)
            held = sum(_bytes_of(images) for images in (*self.sets, *sets))
            if total > self.max_images or held > self.max_bytes:
                detail = (
                    f"session: expected at most {self.max_images} images and {self.max_bytes:,} bytes, got {total} and "
                    f"{held:,}. Open another one."
                )
                raise Refusal(422, detail, code="session-full")
            if sets:
                EmbeddingSet.concatenate(
                    [*self.sets[:1], *sets]
                )  # refuses what does not go together
            self.sets += sets

    def images(self) -> EmbeddingSet:
        """All of them.

        Raises:
            Refusal: If there are none yet.
        """
        with self.lock:
            if not self.sets:
                raise Refusal(409, "session: it holds no usable image yet. Add some.", code="empty")
            return EmbeddingSet.concatenate(self.sets)


def _closed() -> Refusal:
    detail = "session: there is none of this id, or it was closed."
    return Refusal(404, detail, code="unknown-session")


def _bytes_of(images: EmbeddingSet) -> int:
    """What a set holds in memory."""
    arrays = (value for value in vars(images).values() if isinstance(value, np.ndarray))
    chips = sum(
        len(chip) for chip in (() if images.chips is None else images.chips) if chip is not None
    )
    return chips + sum(array.nbytes for array in arrays)


class Sessions:
    """All sessions that are open; untouched ones are closed. For several threads.

    Args:
        limits: How many, how long, how large.
        clock: Seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, owner: str) -> Session:
        """A new one.

        Raises:
            Refusal: If too many are open.
        """
        with self._lock:
            self._close_old()
            if len(self._open) >= self._limits.max_sessions:
                raise Refusal(
                    429,
                    f"sessions: expected at most {self._limits.max_sessions} open ones. Close one, or try again later.",
                    code="sessions-full",
                    headers={"Retry-After": "10"},
                )
            own = sum(session.owner == owner for session in self._open.values())
            if own >= self._limits.max_sessions_of_one:
                raise Refusal(
                    429,
                    f"sessions: expected at most {self._limits.max_sessions_of_one} open ones of one key. Close one.",
                    code="sessions-full",
                    headers={"Retry-After": "10"},
                )
            session = Session(
                id=secrets.token_urlsafe(18),
                owner=owner,
                max_images=self._limits.max_images,
                max_bytes=self._limits.max_session_bytes,
                touched=self._clock(),
            )
            self._open[session.id] = session
            return session

    def get(self, session_id: str, owner: str) -> Session:
        """An open one.

        Raises:
            Refusal: If there is none, or it is of another key.
        """
        with self._lock:
            self._close_old()
            session = self._open.get(session_id)
            if session is None or session.owner != owner:
                raise _closed()
            session.touched = self._clock()
            return session

    def close(self, session_id: str, owner: str) -> None:
        """Closes one; raises as `get`."""
        session = self.get(session_id, owner)
        with self._lock, session.lock:
            session.is_closed = True
            self._open.pop(session_id, None)

    def _close_old(self) -> None:
        limit = self._clock() - self._limits.session_seconds
        for old in [key for key, session in self._open.items() if session.touched < limit]:
            del self._open[old]
