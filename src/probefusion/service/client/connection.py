"""Requests over HTTP: each thread has a connection of its own, and what breaks is sent again once."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from probefusion.errors import ConfigError, ProbeFusionError, StoreError
from probefusion.service.client.queries import Json

__all__ = ["Connection", "ServiceError"]

_UNDER_WAY_SECONDS = 0.5

_Own = TypeVar("_Own", bound="Connection")


class ServiceError(ProbeFusionError):
    """The service refused.

    Args:
        status: HTTP status; 0 if the service could not be reached.
        content: The problem details.
    """

    def __init__(self, status: int, content: Json) -> None:
        self.status, self.content = status, content
        super().__init__(str(content.get("detail", f"the service answered with status {status}.")))


class Connection:
    """Sends requests to a service. For several threads; each has a connection of its own.

    Args and errors are those of `probefusion.service.client.Client`.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        collection: str = "people",
        timeout: float = 60.0,
        certificate: str | Path | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ConfigError(f"url: expected http://... or https://..., got {url!r}.")
        try:
            self._host, self._port = parts.hostname, parts.port
        except ValueError:
            raise ConfigError(f"url: expected a port of 0 to 65535, got {url!r}.") from None
        self._base = parts.path.rstrip("/")
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(
                cafile=None if certificate is None else str(certificate)
            )
        self._key, self.collection, self._timeout = key, collection, timeout
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def __enter__(self: _Own) -> _Own:
        """It itself; its connections are closed at the end of the block."""
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def call(
        self, method: str, path: str, body: Json | None = None, *, if_match: str | None = None
    ) -> Any:
        """One request; changes carry an idempotency key, and are sent again once if the connection breaks.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: Path and query, as "/v1/collections/people/people".
            body: What is sent as JSON, or None.
            if_match: ETag that must still hold for a change.

        Raises:
            ServiceError: If the service refuses.
            StoreError: If it cannot be reached.
        """
        content = self._content(method, path, body, if_match)
        return _parsed(content)

    def _content(self, method: str, path: str, body: Json | None, if_match: str | None) -> bytes:
        headers = {"Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        if if_match is not None:
            headers["If-Match"] = if_match
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        deadline = time.monotonic() + self._timeout
        breaks = 0
        while True:
            connection = self._connection()
            try:
                connection.request(method, self._base + path, data, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._close_own()
                breaks += 1
                if breaks > 1 or isinstance(error, TimeoutError):
                    raise StoreError(
                        f"{self._host}: the service cannot be reached ({error or type(error).__name__})."
                    ) from error
                continue
            if answer.status < 400:
                return content
            problem = _parsed(content)
            problem = problem if isinstance(problem, dict) else {}
            if (
                not (breaks and _is_under_way(answer.status, problem))
                or time.monotonic() > deadline
            ):
                raise ServiceError(answer.status, problem)
            time.sleep(_UNDER_WAY_SECONDS)  # the first request arrived, and its answer will come

    def close(self) -> None:
        """Closes all connections; a further call opens one again."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def _close_own(self) -> None:
        connection = self._local.connection
        connection.close()
        self._local.connection = None
        with self._lock:
            if connection in self._open:
                self._open.remove(connection)

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            if self._tls is None:
                connection = http.client.HTTPConnection(
                    self._host, self._port, timeout=self._timeout
                )
            else:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout, context=self._tls
                )
            self._local.connection = connection
            with self._lock:
                self._open.append(connection)
        found: http.client.HTTPConnection = connection
        return found


def _parsed(content: bytes) -> Any:
    """What an answer holds; a proxy may answer with a page of its own, which is none."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def _is_under_way(status: int, problem: Json) -> bool:
    """Whether the same request, sent before, is still being worked on."""
    return status == 409 and problem.get("type") == "urn:probefusion:problem:idempotency-key"
