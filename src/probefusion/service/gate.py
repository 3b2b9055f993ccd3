"""The gate before all routes: how large, how slow, how many. What does not pass is refused before it costs anything."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.service.problems import problem
from probefusion.service.settings import Limits

__all__ = ["Gate", "Rates"]

_MOST_CLIENTS = 100_000
_WITHOUT_LIMIT = frozenset({"/v1/health", "/v1/ready", "/metrics"})
"""Asked for by watchdogs, also when the service is full."""


class Rates:
    """How many requests each client may still make: a bucket of tokens that fills up over time.

    Args:
        per_minute: Requests; as many may come at once.
        clock: Seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """0 if the client may go on, which counts; else how long to wait."""
        now = self._clock()
        tokens, last = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - last) * self._per_minute / 60)
        wait = 0.0 if tokens >= 1 else (1 - tokens) * 60 / self._per_minute
        self._buckets[client] = (tokens - 1 if wait == 0 else tokens, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


class Gate:
    """Middleware: reads the body within limits of size and time, counts what is under way.

    Args:
        app: What is behind it.
        limits: The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        if scope["type"] != "http" or scope["path"] in _WITHOUT_LIMIT:
            await self._app(scope, receive, send)
            return
        if self._running >= self._limits.max_running:
            answer = problem(
                429,
                f"{self._running} requests are under way, expected at most {self._limits.max_running}. Try again soon.",
                code="full",
                headers={"Retry-After": "1"},
            )
            await answer(scope, receive, send)
            return
        self._running += 1
        try:
            await self._pass(scope, receive, send)
        finally:
            self._running -= 1

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._limits
        too_large = problem(
            413,
            f"expected a request of at most {limits.max_body:,} bytes. Send fewer or smaller images.",
            code="too-large",
            headers={"Connection": "close"},
        )
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limits.max_body:
            await too_large(scope, receive, send)
            return
        parts: list[bytes] = []
        size = 0
        try:
            with anyio.fail_after(limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limits.max_body:
                        await too_large(scope, receive, send)
                        return
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            answer = problem(
                408,
                f"expected the whole request within {limits.body_seconds:g} s, got {size:,} bytes. Send it faster, or "
                f"in parts.",
                code="slow",
                headers={"Connection": "close"},
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, _given(b"".join(parts), receive), send)


def _given(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that was read, then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
