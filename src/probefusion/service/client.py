"""A typed client of the service, of the standard library alone; `AsyncClient` does the same without blocking.

Example:
    client = Client("http://127.0.0.1:8470", key="pf_...")
    client.enroll("Ann", embeddings=array)
    print(client.search(embeddings=array)["candidates"][0])
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import secrets
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, ProbeFusionError, StoreError

__all__ = ["AsyncClient", "Client", "ServiceError"]

Json = dict[str, Any]


class ServiceError(ProbeFusionError):
    """The service refused.

    Args:
        status: HTTP status; 0 if the service could not be reached.
        content: The problem details.
    """

    def __init__(self, status: int, content: Json) -> None:
        self.status, self.content = status, content
        super().__init__(str(content.get("detail", f"the service answered with status {status}.")))


class Client:
    """Calls a service. For several threads; each has a connection of its own.

    Args:
        url: Where the service is, as "https://host:8470".
        key: Key of `probefusion serve-keys`, or None.
        collection: Collection that is meant.
        timeout: Seconds to wait for an answer.
        certificate: File of the certificate of who signed the service's, where the system does not know it.

    Raises:
        ConfigError: If the url is none.
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

    def __enter__(self) -> Client:
        """The client; its connections are closed at the end of the block."""
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """One request; changes carry an idempotency key, and are sent again once if the connection breaks.

        Raises:
            ServiceError: If the service refuses.
            StoreError: If it cannot be reached.
        """
        headers = {"Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, self._base + path, data, headers)
                answer = connection.getresponse()
                content = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self._close_own()
                if attempt == 2 or isinstance(error, TimeoutError):
                    raise StoreError(
                        f"{self._host}: the service cannot be reached ({error or type(error).__name__})."
                    ) from error
        parsed = _parsed(content)
        if answer.status >= 400:
            raise ServiceError(answer.status, parsed if isinstance(parsed, dict) else {})
        return parsed

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

    def people(self) -> Iterator[str]:
        """Names of all people, in order."""
        cursor = None
        while True:
            query = {"limit": "1000"} | ({} if cursor is None else {"cursor": cursor})
            page = self.call("GET", self._at(f"/people?{urlencode(query)}"))
            yield from (person["name"] for person in page["people"])
            cursor = page["next"]
            if cursor is None:
                return

    def person(self, name: str) -> Json:
        """What there is of a person, see `probefusion.gallery.results.PersonView`."""
        answer: Json = self.call("GET", self._person(name))
        return answer

    def enroll(self, name: str, *, source: str = "", **query: Any) -> Json:
        """Enrols a new person, see `query_of` for the images; gives `probefusion.gallery.results.Added`."""
        body = {"name": name, "query": query_of(**query), "source": source}
        answer: Json = self.call("POST", self._at("/people"), body)
        return answer

    def update(self, name: str, *, source: str = "", guard: bool = True, **query: Any) -> Json:
        """Adds images to a person; as `enroll`."""
        body = {"query": query_of(**query), "source": source, "guard": guard}
        answer: Json = self.call("POST", self._person(name, "/contributions"), body)
        return answer

    def search(
        self,
        *,
        top_k: int = 10,
        fmr: float | None = None,
        fpir: float | None = None,
        threshold: float | None = None,
        **query: Any,
    ) -> Json:
        """Whom images are most similar to, see `probefusion.gallery.results.SearchResult`."""
        body = {
            "query": query_of(**query),
            "top_k": top_k,
            "fmr": fmr,
            "fpir": fpir,
            "threshold": threshold,
        }
        answer: Json = self.call("POST", self._at("/search"), body)
        return answer

    def verify(
        self, name: str, *, fmr: float | None = None, threshold: float | None = None, **query: Any
    ) -> Json:
        """Whether images are of a person, see `probefusion.gallery.results.Verification`."""
        body = {"query": query_of(**query), "fmr": fmr, "threshold": threshold}
        answer: Json = self.call("POST", self._person(name, "/verify"), body)
        return answer

    def remove(self, name: str) -> int:
        """Removes a person; gives the revision, which `undo` takes."""
        return int(self.call("DELETE", self._person(name))["revision"])

    def undo(self, revision: int) -> int:
        """Takes a change back; gives the new revision."""
        return int(self.call("POST", self._at(f"/changes/{revision}/undo"))["revision"])

    def forget(self, name: str) -> Json:
        """Erases a person for good; gives the receipt."""
        answer: Json = self.call("POST", self._at("/forget"), {"person": name})
        return answer

    def fuse(self, **query: Any) -> npt.NDArray[np.float32]:
        """The template of images, (D,) float32."""
        answer = self.call("POST", "/v1/fuse", query_of(**query))
        return np.frombuffer(base64.b64decode(answer["template"]["base64"]), "<f4").astype(
            np.float32
        )

    def _at(self, path: str) -> str:
        return f"/v1/collections/{quote(self.collection, safe='')}{path}"

    def _person(self, name: str, path: str = "") -> str:
        if "/" in name or name in (".", ".."):  # what a path cannot say goes by its id
            page = self.call("GET", self._at(f"/people?{urlencode({'name': name})}"))
            name = page["people"][0]["id"] if page["people"] else "nobody"
        return self._at(f"/people/{quote(name, safe='')}{path}")

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


class AsyncClient:
    """As `Client`, for `asyncio`: every call is made in a thread, so that nothing waits for it.

    Args:
        url: As for `Client`.
        settings: As for `Client`.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        self._client = Client(url, **settings)

    async def __aenter__(self) -> AsyncClient:
        """The client; its connections are closed at the end of the block."""
        return self

    async def __aexit__(self, *details: object) -> None:
        self._client.close()

    async def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """As `Client.call`."""
        return await asyncio.to_thread(self._client.call, method, path, body)

    async def people(self) -> list[str]:
        """As `Client.people`."""
        return await asyncio.to_thread(lambda: list(self._client.people()))

    async def enroll(self, name: str, **more: Any) -> Json:
        """As `Client.enroll`."""
        return await asyncio.to_thread(lambda: self._client.enroll(name, **more))

    async def update(self, name: str, **more: Any) -> Json:
        """As `Client.update`."""
        return await asyncio.to_thread(lambda: self._client.update(name, **more))

    async def search(self, **more: Any) -> Json:
        """As `Client.search`."""
        return await asyncio.to_thread(lambda: self._client.search(**more))

    async def verify(self, name: str, **more: Any) -> Json:
        """As `Client.verify`."""
        return await asyncio.to_thread(lambda: self._client.verify(name, **more))

    async def fuse(self, **query: Any) -> npt.NDArray[np.float32]:
        """As `Client.fuse`."""
        return await asyncio.to_thread(lambda: self._client.fuse(**query))


def query_of(
    *,
    images: Sequence[str | Path] | None = None,
    embeddings: npt.ArrayLike | None = None,
    embedder: str | None = None,
    style: npt.ArrayLike | None = None,
    state: bytes | None = None,
    session: str | None = None,
) -> Json:
    """Images of one person as a request holds them; exactly one of images, embeddings, state and session.

    Args:
        images: Files.
        embeddings: (N, D) or (D,) numbers.
        embedder: Fingerprint of the network that made them.
        style: (N, C, 2) style statistics.
        state: As `FusionState.to_bytes` gives it.
        session: Id of a session.

    Raises:
        ConfigError: If it is not exactly one.
    """
    given = [each for each in (images, embeddings, state, session) if each is not None]
    if len(given) != 1:
        raise ConfigError(
            f"query: expected one of images, embeddings, state, session, got {len(given)}."
        )
    if images is not None:
        files = [Path(file) for file in images]
        return {
            "images": [{"name": file.name, "base64": _base64(file.read_bytes())} for file in files]
        }
    if state is not None:
        return {"state": _base64(state)}
    if session is not None:
        return {"session": session}
    matrix = np.atleast_2d(np.asarray(embeddings, "<f4"))
    found: Json = {
        "base64": _base64(matrix.tobytes()),
        "dim": matrix.shape[1],
        "embedder": embedder,
    }
    if style is not None:
        found["style"] = _base64(np.asarray(style, "<f4").tobytes())
    return {"embeddings": found}


def _parsed(content: bytes) -> Any:
    """What an answer holds; a proxy may answer with a page of its own, which is none."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
