"""Answers that changed something, kept for a day, so that a request that is sent again is not done twice."""

from __future__ import annotations

import hashlib
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Answers", "Asked", "Found", "KeptAnswer", "MemoryAnswers", "State"]

SECONDS = 24 * 3600.0
"""An answer is kept for so long."""

_MOST = 10_000
_MOST_BYTES = 32_000_000


class State(Enum):
    """What is known of a request with an idempotency key."""

    FIRST = "first"
    """Nothing; it is the caller's to be done now."""
    OTHER = "other"
    """The key was used for another request."""
    UNDER_WAY = "under way"
    """Somebody does it right now."""
    DONE = "done"
    """It was done."""
    LOST = "lost"
    """Who did it ended, or failed, before it could tell what became of it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request with an idempotency key.

    Args:
        caller: The Authorization header.
        key: The idempotency key.
        request: Hash of method, path and body.
        collection: That is to be changed.
        revision: Of the collection before.
    """

    caller: bytes
    key: bytes
    request: bytes
    collection: str
    revision: int

    @property
    def name(self) -> bytes:
        """What it is found by: (32,) bytes that tell nothing of the caller's key."""
        return hashlib.sha256(self.caller + b"\x00" + self.key).digest()


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """An answer.

    Args:
        status: HTTP status.
        headers: Of the answer.
        body: Its content; None if it was too large to be kept.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None

    @property
    def num_bytes(self) -> int:
        """About what it holds."""
        return len(self.body or b"") + sum(len(a) + len(b) for a, b in self.headers)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is known of a request.

    Args:
        state: In a word.
        answer: Where it was done.
        revision: Of the collection before it, where it was done or lost.
    """

    state: State
    answer: KeptAnswer | None = None
    revision: int = 0


class Answers(ABC):
    """What is known of requests with idempotency keys. For several threads."""

    @abstractmethod
    def begin(self, asked: Asked) -> Found:
        """What is known of a request; of those who ask at the same time one alone is told that it is the first."""

    @abstractmethod
    def take_over(self, asked: Asked) -> Found:
        """As `begin`, of one that was lost and is known to have changed nothing: it is done anew."""

    @abstractmethod
    def keep(self, asked: Asked, answer: KeptAnswer) -> None:
        """Keeps the answer to the first."""

    @abstractmethod
    def give_up(self, asked: Asked) -> None:
        """The first was refused and changed nothing: nothing is kept."""

    @abstractmethod
    def lose(self, asked: Asked) -> None:
        """The first failed, and may have changed something."""

    @abstractmethod
    def drop_answers_of(self, collection: str, *, besides: bytes = b"") -> None:
        """Forgets what was answered of people who may be forgotten now.

        Args:
            collection: Theirs.
            besides: Name of the request to forget itself, which may be repeated.
        """

    @abstractmethod
    def drop_old(self) -> None:
        """Forgets what is older than a day, and the oldest where there is too much."""


@dataclass(eq=False, kw_only=True)
class _Known:
    request: bytes
    collection: str
    revision: int
    begun: float
    answer: KeptAnswer | None = None
    is_lost: bool = False


class MemoryAnswers(Answers):
    """Answers in the memory of the one process that gives them.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._num_bytes = 0

    def begin(self, asked: Asked) -> Found:
        """As `Answers.begin`."""
        self.drop_old()
        with self._lock:
            known = self._known.get(asked.name)
            if known is None:
                self._known[asked.name] = self._fresh(asked)
                return Found(state=State.FIRST)
            if known.request != asked.request:
                return Found(state=State.OTHER)
            if known.answer is not None:
                return Found(state=State.DONE, answer=known.answer, revision=known.revision)
            state = State.LOST if known.is_lost else State.UNDER_WAY
            return Found(state=state, revision=known.revision)

    def take_over(self, asked: Asked) -> Found:
        """As `Answers.take_over`."""
        with self._lock:
            known = self._known.get(asked.name)
            if known is None or known.is_lost:
                self._known[asked.name] = self._fresh(asked)
                return Found(state=State.FIRST)
            return Found(state=State.UNDER_WAY)

    def keep(self, asked: Asked, answer: KeptAnswer) -> None:
        """As `Answers.keep`."""
        with self._lock:
            known = self._known.get(asked.name)
            if known is not None:
                known.answer = answer
                self._num_bytes += answer.num_bytes

    def give_up(self, asked: Asked) -> None:
        """As `Answers.give_up`."""
        with self._lock:
            self._drop(asked.name)

    def lose(self, asked: Asked) -> None:
        """As `Answers.lose`."""
        with self._lock:
            known = self._known.get(asked.name)
            if known is not None:
                known.is_lost = True

    def drop_answers_of(self, collection: str, *, besides: bytes = b"") -> None:
        """As `Answers.drop_answers_of`."""
        with self._lock:
            for name in [key for key, each in self._known.items() if each.collection == collection]:
                if self._known[name].answer is not None and name != besides:
                    self._drop(name)

    def drop_old(self) -> None:
        """As `Answers.drop_old`."""
        limit = self._clock() - SECONDS
        with self._lock:
            while self._known:
                name, oldest = next(iter(self._known.items()))
                is_little = len(self._known) < _MOST and self._num_bytes <= _MOST_BYTES
                if oldest.begun >= limit and is_little:
                    return
                self._drop(name)

    def _fresh(self, asked: Asked) -> _Known:
        return _Known(
            request=asked.request,
            collection=asked.collection,
            revision=asked.revision,
            begun=self._clock(),
        )

    def _drop(self, name: bytes) -> None:
        known = self._known.pop(name, None)
        if known is not None and known.answer is not None:
            self._num_bytes -= known.answer.num_bytes
