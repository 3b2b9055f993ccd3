"""A request's time: who waits too long is told so, and nobody works for who is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from probefusion.service.problems import Refusal, problem

__all__ = ["CLIENT_GONE", "Deadline", "nobody_waits", "wanting"]

CLIENT_GONE = "client_gone"
"""Set in the `state` of a request whose connection was lost before the answer."""

_TOO_LATE = "too_late"
"""Set in the `state` of a request that was answered because its time was over."""


class Deadline:
    """Answers a request when its time is over, whatever becomes of what works on it.

    A thread cannot be stopped: it works on, and what it answers then is dropped. So a change may still be made.

    Args:
        scope: Of the request.
        receive: Of the request.
        send: Of the request.
        seconds: Until then an answer must have begun.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self._scope, self._receive, self._send, self._seconds = scope, receive, send, seconds
        self._state = scope.setdefault("state", {})
        self._has_begun = self._is_over = False
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._end)
        self._telling: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        """Sends a part of the answer, unless the time was over before it began."""
        if self._is_over:
            return
        self._has_begun = True
        await self._send(message)

    async def close(self) -> None:
        """Ends; an answer that is being told is told first."""
        self._timer.cancel()
        if self._telling is not None:
            await self._telling

    def _end(self) -> None:
        if self._has_begun:
            return
        self._is_over = self._state[_TOO_LATE] = True
        self._telling = self._loop.create_task(self._tell())

    async def _tell(self) -> None:
        answer = problem(
            503,
            f"expected to be done within {self._seconds:g} s. A change may still be made: look, or send it again with "
            f"the same Idempotency-Key.",
            code="late",
            headers={"Retry-After": "5"},
        )
        await answer(self._scope, self._receive, self._send)


def wanting(scope: Scope) -> Callable[[], bool]:
    """Tells whether somebody still waits for the answer to a request."""
    state = scope.setdefault("state", {})
    return lambda: not (state.get(CLIENT_GONE) or state.get(_TOO_LATE))


def nobody_waits() -> Refusal:
    """What becomes of work that nobody waits for; nobody reads it."""
    return Refusal(503, "nobody waits for the answer any more; it was not begun.", code="gone")
