"""Connections to a database that several threads of one process share, each used by one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from probefusion.errors import ConfigError

__all__ = ["Connections"]

_KEPT = 8
"""Connections that stay open while nobody uses them."""


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class Connections(Generic[C]):
    """Opens connections when needed and keeps some for the next use.

    Args:
        make: Opens one.
        address: What messages call the database.
    """

    def __init__(self, make: Callable[[], C], *, address: str) -> None:
        self._make = make
        self._address = address
        self._idle: list[C] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    def take(self) -> C:
        """A connection that nobody else uses.

        Raises:
            ConfigError: If all was closed, or this is another process than the one that opened the store.
        """
        self.check()
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._make()

    def check(self) -> None:
        """Refuses use after `close`, and in a process that was forked since.

        Raises:
            ConfigError: If so.
        """
        if self._closed:
            raise ConfigError(f"{self._address}: the gallery was closed; open it again")
        if os.getpid() != self._process:
            raise ConfigError(
                f"{self._address}: the gallery was opened by another process; open it in each process anew"
            )

    def give_back(self, connection: C) -> None:
        """Keeps a connection for the next use, or closes it where there are enough."""
        with self._lock:
            if not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def forget_idle(self) -> None:
        """Closes those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Closes those that nobody uses, and the others when they are given back."""
        self._closed = True
        if os.getpid() == self._process:
            self.forget_idle()
