"""Figures for Prometheus: requests, times, sessions, people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.extras import import_extra
from probefusion.service.hub import Hub
from probefusion.service.process_figures import ProcessFigures, folder_of_figures

__all__ = ["Figures", "Measured"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
"""Others, which a client may make up, must not each become a figure of its own."""


class Figures:
    """Counters of one service.

    Args:
        hub: What it counts of.
    """

    def __init__(self, hub: Hub) -> None:
        client: Any = import_extra("prometheus_client", extra="serve", purpose="figures")
        self._client, self._hub = client, hub
        self._registry = client.CollectorRegistry()
        self.requests = client.Counter(
            "probefusion_requests",
            "Requests.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self.seconds = client.Histogram(
            "probefusion_request_seconds", "Time to the answer.", ["route"], registry=self._registry
        )
        self._folder = folder_of_figures()
        self._at_once = client.CollectorRegistry()  # looked up when they are asked for
        self._at_once.register(_Held(hub))
        if self._folder is None:
            client.ProcessCollector(registry=self._registry)
        else:
            self._at_once.register(ProcessFigures(client, self._folder))

    def text(self) -> tuple[bytes, str]:
        """What Prometheus reads, and its media type; of all processes, where there are several."""
        counted = self._registry
        if self._folder is not None:
            counted = self._client.CollectorRegistry()
            several: Any = import_extra(
                "prometheus_client.multiprocess", extra="serve", purpose="figures"
            )
            several.MultiProcessCollector(counted, path=str(self._folder))
        content: bytes = self._client.generate_latest(counted)
        content += self._client.generate_latest(self._at_once)
        return content, str(self._client.CONTENT_TYPE_LATEST)


class _Held:
    """Sessions and people, as the gallery and its services have them now."""

    def __init__(self, hub: Hub) -> None:
        core: Any = import_extra("prometheus_client.core", extra="serve", purpose="figures")
        self._family, self._hub = core.GaugeMetricFamily, hub

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        num_sessions = len(self._hub.sessions)
        yield self._family("probefusion_sessions", "Sessions that are open.", num_sessions)
        people = sum(len(gallery) for gallery in self._hub.galleries.values())
        yield self._family(
            "probefusion_people", "People who are shown, of all collections.", people
        )


class Measured:
    """Middleware that counts requests by route, so that no name of a person becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begin = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            figures: Figures = scope["app"].state.figures
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            figures.requests.labels(route, method, str(status)).inc()
            figures.seconds.labels(route).observe(time.perf_counter() - begin)
