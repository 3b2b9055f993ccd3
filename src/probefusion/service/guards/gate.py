"""The gate before all routes: how large, how slow, how many. What does not pass is refused before it costs anything."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.service.guards.deadline import Deadline
from probefusion.service.problems import no_key, problem
from probefusion.service.settings import Limits, is_loopback

__all__ = ["Gate", "Rates"]

_MOST_CLIENTS = 100_000
_WITHOUT_LIMIT = frozenset({"/v1/health", "/v1/ready"})
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
        self._lock = threading.Lock()

    def at_once(self, client: str) -> float | None:
        """As `seconds_to_wait`, for who must not wait for a database; None where that must be asked in a thread."""
        return self.seconds_to_wait(client)

    def seconds_to_wait(self, client: str) -> float:
        """0 if the client may go on, which counts; else how long to wait."""
        with self._lock:
            return self._take(client)

    def _take(self, client: str) -> float:
        now = self._clock()
        tokens, last = self._buckets.pop(client, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - last) * self._per_minute / 60)
        wait = 0.0 if tokens >= 1 else (1 - tokens) * 60 / self._per_minute
        self._buckets[client] = (tokens - 1 if wait == 0 else tokens, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


class Gate:
    """Middleware: who asks by way of a foreign page is refused, the body is read within limits, requests are counted.

    Args:
        app: What is behind it.
        limits: The limits.
        is_known: Whether an Authorization header names a valid key: nothing of others is read.
        only_local: Whether there are no keys, so that a request must name this machine as its host: a page whose
            name was made to mean 127.0.0.1 must not get through.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, *, is_known: Callable[[str], bool], only_local: bool
    ) -> None:
        self._app, self._limits, self._is_known, self._only_local = (
            app,
            limits,
            is_known,
            only_local,
        )
        self._reading = self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        if scope["type"] != "http" or scope["path"] in _WITHOUT_LIMIT:
            await self._app(scope, receive, send)
            return
        stranger = _why_strange(scope, only_local=self._only_local)
        if stranger is not None:
            await problem(403, stranger, code="cross-site")(scope, receive, send)
            return
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if scope["path"].startswith("/v1/") and not self._is_known(authorization):
            await no_key()(scope, receive, send)
            return
        if self._reading >= self._limits.max_running:
            await self._full(self._reading)(scope, receive, send)
            return
        self._reading += 1
        try:
            body = await self._body(scope, receive, send)
        finally:
            self._reading -= 1
        if body is None:
            return
        if self._running >= self._limits.max_running:
            await self._full(self._running)(scope, receive, send)
            return
        self._running += 1
        deadline = Deadline(scope, receive, send, self._limits.request_seconds)
        try:
            await self._app(scope, _given(body, receive), deadline.send)
        finally:
            self._running -= 1
            await deadline.close()

    def _full(self, number: int) -> ASGIApp:
        return problem(
            429,
            f"{number} requests are under way, expected at most {self._limits.max_running}. Try again soon.",
            code="full",
            headers={"Retry-After": "1"},
        )

    def _too_large(self) -> ASGIApp:
        return problem(
            413,
            f"expected a request of at most {self._limits.max_body:,} bytes. Send fewer or smaller images.",
            code="too-large",
            headers={"Connection": "close"},
        )

    async def _body(self, scope: Scope, receive: Receive, send: Send) -> bytes | None:
        """The whole body; None if it was refused, or the client went away."""
        limits = self._limits
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limits.max_body:
            await self._too_large()(scope, receive, send)
            return None
        parts: list[bytes] = []
        size = 0
        try:
            with anyio.fail_after(limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limits.max_body:
                        await self._too_large()(scope, receive, send)
                        return None
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
            return None
        return b"".join(parts)


def _why_strange(scope: Scope, *, only_local: bool) -> str | None:
    """Why a request may come from a foreign page in somebody's browser, or None."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    if only_local and not _is_this_machine(host):
        return f"Host: expected 127.0.0.1, [::1] or localhost, as there are no keys, got {host[:100]!r}."
    if scope["method"] in ("GET", "HEAD"):
        return None
    if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return "Sec-Fetch-Site: expected same-origin, got a request of another site."
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return f"Origin: expected that of this service, got {origin[:100]!r}."
    return None


@lru_cache(maxsize=256)
def _is_this_machine(host: str) -> bool:
    return is_loopback((urlsplit(f"//{host}").hostname or "").rstrip("."))


def _given(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that was read, then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
