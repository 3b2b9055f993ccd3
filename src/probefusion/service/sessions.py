"""Streaming sessions: images come as a camera takes them, the template so far can be read at any time."""

from __future__ import annotations

import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from probefusion.service.problems import Refusal
from probefusion.service.settings import Limits
from probefusion.types import EmbeddingSet

__all__ = ["MemorySessions", "Session", "Sessions"]


class Session(ABC):
    """Images of one person that came so far.

    Attributes:
        id: Names it; cannot be guessed.
        num_images: Images that can be used.
    """

    id: str
    num_images: int

    @abstractmethod
    def add(self, sets: Sequence[EmbeddingSet]) -> None:
        """Takes images.

        Raises:
            Refusal: If they are too many, or it was closed.
            EmbedderMismatchError, ShapeError: If they are of another embedder.
        """

    @abstractmethod
    def images(self) -> EmbeddingSet:
        """All of them.

        Raises:
            Refusal: If there are none yet.
        """


class Sessions(ABC):
    """All sessions that are open; untouched ones are closed. For several threads."""

    @abstractmethod
    def __len__(self) -> int:
        """How many are open."""

    @abstractmethod
    def open(self, owner: str) -> Session:
        """A new one.

        Args:
            owner: Id of the key that opens it; no other key sees it.

        Raises:
            Refusal: If too many are open.
        """

    @abstractmethod
    def get(self, session_id: str, owner: str) -> Session:
        """An open one.

        Raises:
            Refusal: If there is none, or it is of another key.
        """

    @abstractmethod
    def close(self, session_id: str, owner: str) -> None:
        """Closes one, and deletes what it holds.

        Raises:
            Refusal: As `get`.
        """

    @abstractmethod
    def close_old(self) -> None:
        """Closes those that nobody touched for too long."""


@dataclass(eq=False, kw_only=True)
class _MemorySession(Session):
    id: str
    owner: str
    limits: Limits
    sets: list[EmbeddingSet] = field(default_factory=list)
    is_closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    touched: float = 0.0

    @property
    def num_images(self) -> int:  # type: ignore[override]
        return sum(images.num_images for images in self.sets)

    def add(self, sets: Sequence[EmbeddingSet]) -> None:
        with self.lock:
            if self.is_closed:
                raise unknown_session()
            total = self.num_images + sum(images.num_images for images in sets)
            check_room(self.limits, total, sum(bytes_of(one) for one in (*self.sets, *sets)))
            if sets:  # refuses what does not go together
                EmbeddingSet.concatenate([*self.sets[:1], *sets])
            self.sets += sets

    def images(self) -> EmbeddingSet:
        with self.lock:
            return all_images(self.sets)


class MemorySessions(Sessions):
    """Sessions in the memory of the one process that has them.

    Args:
        limits: How many, how long, how large.
        clock: Seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._open: dict[str, _MemorySession] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, owner: str) -> Session:
        """As `Sessions.open`."""
        self.close_old()
        with self._lock:
            own = sum(session.owner == owner for session in self._open.values())
            check_number(self._limits, len(self._open), own)
            session = _MemorySession(
                id=new_id(), owner=owner, limits=self._limits, touched=self._clock()
            )
            self._open[session.id] = session
            return session

    def get(self, session_id: str, owner: str) -> Session:
        """As `Sessions.get`."""
        return self._get(session_id, owner)

    def _get(self, session_id: str, owner: str) -> _MemorySession:
        self.close_old()
        with self._lock:
            session = self._open.get(session_id)
            if session is None or session.owner != owner:
                raise unknown_session()
            session.touched = self._clock()
            return session

    def close(self, session_id: str, owner: str) -> None:
        """As `Sessions.close`."""
        session = self._get(session_id, owner)
        with self._lock, session.lock:
            session.is_closed = True
            self._open.pop(session_id, None)

    def close_old(self) -> None:
        """As `Sessions.close_old`."""
        limit = self._clock() - self._limits.session_seconds
        with self._lock:
            for old in [key for key, session in self._open.items() if session.touched < limit]:
                del self._open[old]


def new_id() -> str:
    """Names a session, and cannot be guessed."""
    return secrets.token_urlsafe(18)


def unknown_session() -> Refusal:
    """There is none of an id, or it is of another key."""
    detail = "session: there is none of this id, or it was closed."
    return Refusal(404, detail, code="unknown-session")


def check_number(limits: Limits, num_open: int, num_own: int) -> None:
    """Refuses to open another session where enough are open.

    Args:
        limits: How many there may be.
        num_open: Of all keys.
        num_own: Of the one who asks.

    Raises:
        Refusal: If one of them is too large.
    """
    for number, most, whose in (
        (num_open, limits.max_sessions, "open ones. Close one, or try again later."),
        (num_own, limits.max_sessions_of_one, "open ones of one key. Close one."),
    ):
        if number >= most:
            raise Refusal(
                429,
                f"sessions: expected at most {most} {whose}",
                code="sessions-full",
                headers={"Retry-After": "10"},
            )


def check_room(limits: Limits, num_images: int, num_bytes: int) -> None:
    """Refuses images that a session has no room for.

    Args:
        limits: How much there may be.
        num_images: What it would hold.
        num_bytes: What it would hold.

    Raises:
        Refusal: If one of them is too large.
    """
    if num_images > limits.max_images or num_bytes > limits.max_session_bytes:
        detail = (
            f"session: expected at most {limits.max_images} images and {limits.max_session_bytes:,} bytes, got "
            f"{num_images} and {num_bytes:,}. Open another one."
        )
        raise Refusal(422, detail, code="session-full")


def all_images(sets: Sequence[EmbeddingSet]) -> EmbeddingSet:
    """One set of all that a session holds.

    Raises:
        Refusal: If it holds nothing.
    """
    if not sets:
        raise Refusal(409, "session: it holds no usable image yet. Add some.", code="empty")
    return EmbeddingSet.concatenate(sets)


def bytes_of(images: EmbeddingSet) -> int:
    """What a set holds in memory."""
    arrays = (value for value in vars(images).values() if isinstance(value, np.ndarray))
    chips = sum(
        len(chip) for chip in (() if images.chips is None else images.chips) if chip is not None
    )
    return chips + sum(array.nbytes for array in arrays)
