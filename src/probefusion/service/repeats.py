"""Idempotency keys: a request that is sent again, because the answer was lost, is answered again and not done twice."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.service.problems import problem

__all__ = ["Repeats"]

_HEADER = b"idempotency-key"
_SECONDS = 24 * 3600.0
_MOST = 10_000
_LARGEST_ANSWER = 1_000_000
_LONGEST_KEY = 256
_METHODS = frozenset({"POST", "PATCH", "DELETE"})


@dataclass(eq=False, kw_only=True)
class _Known:
    """A request that is being answered, or was."""

    request: bytes
    begun: float
    messages: list[Message] = field(default_factory=list)
    is_done: bool = False


class Repeats:
    """Middleware behind the gate; keeps answers that changed something for a day, in the memory of this process.

    Args:
        app: What is behind it.
        is_allowed: Whether the caller of an Authorization header may still call, so that nothing is repeated for a
            key that was revoked.
        clock: Seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        is_allowed: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._is_allowed, self._clock = app, is_allowed, clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        key = headers.get(_HEADER)
        if key is None or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        authorization = headers.get(b"authorization", b"")
        if not self._is_allowed(authorization.decode("latin-1")):
            await self._app(scope, receive, send)  # which refuses it
            return
        if not 0 < len(key) <= _LONGEST_KEY:
            answer = problem(
                422,
                f"Idempotency-Key: expected 1 to {_LONGEST_KEY} characters.",
                code="idempotency-key",
            )
            await answer(scope, receive, send)
            return
        message = await receive()
        body = message.get("body", b"")
        path = scope["path"].encode() + b"?" + scope["query_string"]
        request = hashlib.sha256(
            b"\x00".join((scope["method"].encode(), path, hashlib.sha256(body).digest()))
        ).digest()
        name = hashlib.sha256(authorization + b"\x00" + key).digest()
        self._drop_old()
        known = self._known.get(name)
        if known is None:
            await self._first(name, request, scope, _again(message, receive), send)
        elif known.request != request:
            answer = problem(
                422,
                "Idempotency-Key: it was used for another request. Take a new one for each request.",
                code="idempotency-key",
            )
            await answer(scope, receive, send)
        elif not known.is_done:
            answer = problem(
                409,
                "Idempotency-Key: the first request with it is still under way. Try again soon.",
                code="idempotency-key",
                headers={"Retry-After": "1"},
            )
            await answer(scope, receive, send)
        else:
            for part in known.messages:
                if part["type"] == "http.response.start":
                    part = {
                        **part,
                        "headers": [*part["headers"], (b"idempotency-replayed", b"true")],
                    }
                await send(part)

    async def _first(
        self, name: bytes, request: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        known = self._known[name] = _Known(request=request, begun=self._clock())
        size = 0

        async def keeping(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            known.messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, keeping)
        finally:
            start = next((part for part in known.messages if "status" in part), None)
            known.is_done = (
                start is not None and 200 <= start["status"] < 300 and size <= _LARGEST_ANSWER
            )
            if not known.is_done:
                self._known.pop(name, None)

    def _drop_old(self) -> None:
        limit = self._clock() - _SECONDS
        while self._known:
            name, oldest = next(iter(self._known.items()))
            if oldest.begun >= limit and len(self._known) < _MOST:
                return
            del self._known[name]


def _again(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
