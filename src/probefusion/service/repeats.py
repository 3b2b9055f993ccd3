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
_LARGEST_ANSWER = 64_000
_MOST_BYTES = 32_000_000
_LONGEST_KEY = 256
_METHODS = frozenset({"POST", "PATCH", "DELETE"})
_ROOT = "/v1/collections/"
_ONLY_READING = frozenset({"search", "verify", "explain"})
"""What changes nothing may be done again; and its answers, which speak of people, are kept nowhere."""


@dataclass(eq=False, kw_only=True)
class _Known:
    """A request that is being answered, or was."""

    request: bytes
    begun: float
    collection: str
    messages: list[Message] = field(default_factory=list)
    num_bytes: int = 0
    is_done: bool = False


class Repeats:
    """Middleware behind the gate; keeps answers that changed something for a day, in the memory of this process.

    Args:
        app: What is behind it.
        may_repeat: Whether the caller of an Authorization header may still change a collection, from an address, and
            has not asked too often: nothing is repeated for a key that was revoked.
        clock: Seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        may_repeat: Callable[[str, str, str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._may_repeat, self._clock = app, may_repeat, clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        key = headers.get(_HEADER)
        parts = scope.get("path", "").removeprefix(_ROOT).split("/")
        changes = scope.get("path", "").startswith(_ROOT) and parts[-1] not in _ONLY_READING
        if key is None or not changes or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        authorization = headers.get(b"authorization", b"")
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
        address = scope["client"][0] if scope.get("client") else ""
        if known is None:
            known = _Known(request=request, begun=self._clock(), collection=parts[0])
            await self._first(name, known, scope, _again(message, receive), send)
            if parts[1:] == ["forget"] and known.is_done:
                self._drop_answers_of(parts[0])
        elif not self._may_repeat(authorization.decode("latin-1"), parts[0], address):
            await self._app(scope, _again(message, receive), send)  # which refuses it
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
        self, name: bytes, known: _Known, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._known[name] = known

        async def keeping(message: Message) -> None:
            known.num_bytes += len(message.get("body", b""))
            if known.num_bytes <= _LARGEST_ANSWER:
                known.messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, keeping)
        finally:
            start = next((part for part in known.messages if "status" in part), None)
            known.is_done = (
                start is not None
                and 200 <= start["status"] < 300
                and known.num_bytes <= _LARGEST_ANSWER
            )
            if not known.is_done:
                self._known.pop(name, None)

    def _drop_old(self) -> None:
        limit = self._clock() - _SECONDS
        held = sum(known.num_bytes for known in self._known.values())
        while self._known:
            name, oldest = next(iter(self._known.items()))
            if oldest.begun >= limit and len(self._known) < _MOST and held <= _MOST_BYTES:
                return
            held -= oldest.num_bytes
            del self._known[name]

    def _drop_answers_of(self, collection: str) -> None:
        """Forgets what was answered of people who may be forgotten now."""
        for name in [key for key, known in self._known.items() if known.collection == collection]:
            del self._known[name]


def _again(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
