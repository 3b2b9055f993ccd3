"""The same calls for `asyncio`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.service.client.blocking import Client
from probefusion.service.client.queries import Json

__all__ = ["AsyncClient"]

_T = TypeVar("_T")


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

    async def call(
        self, method: str, path: str, body: Json | None = None, *, if_match: str | None = None
    ) -> Any:
        """As `Client.call`."""
        return await self._run(self._client.call, method, path, body, if_match=if_match)

    async def collections(self) -> list[str]:
        """As `Client.collections`."""
        return await self._run(self._client.collections)

    async def stats(self) -> Json:
        """As `Client.stats`."""
        return await self._run(self._client.stats)

    async def people(self) -> list[str]:
        """As `Client.people`."""
        return await self._run(lambda: list(self._client.people()))

    async def person(self, name: str) -> Json:
        """As `Client.person`."""
        return await self._run(self._client.person, name)

    async def chip(self, image: str) -> bytes:
        """As `Client.chip`."""
        return await self._run(self._client.chip, image)

    async def enroll(
        self, name: str, *, source: str = "", keep_chips: bool = False, **query: Any
    ) -> Json:
        """As `Client.enroll`."""
        return await self._run(
            self._client.enroll, name, source=source, keep_chips=keep_chips, **query
        )

    async def update(
        self,
        name: str,
        *,
        source: str = "",
        guard: bool = True,
        keep_chips: bool = False,
        **query: Any,
    ) -> Json:
        """As `Client.update`."""
        return await self._run(
            self._client.update, name, source=source, guard=guard, keep_chips=keep_chips, **query
        )

    async def rename(self, name: str, new_name: str) -> int:
        """As `Client.rename`."""
        return await self._run(self._client.rename, name, new_name)

    async def ignore(self, name: str, is_ignored: bool = True) -> int:
        """As `Client.ignore`."""
        return await self._run(self._client.ignore, name, is_ignored)

    async def merge(self, name: str, other: str) -> Json:
        """As `Client.merge`."""
        return await self._run(self._client.merge, name, other)

    async def split(
        self, name: str, into: str, *, contributions: Sequence[str] = (), images: Sequence[str] = ()
    ) -> int:
        """As `Client.split`."""
        return await self._run(
            self._client.split, name, into, contributions=contributions, images=images
        )

    async def different(self, name: str, other: str, are_different: bool = True) -> int:
        """As `Client.different`."""
        return await self._run(self._client.different, name, other, are_different)

    async def remove(self, name: str) -> int:
        """As `Client.remove`."""
        return await self._run(self._client.remove, name)

    async def remove_contribution(self, contribution: str) -> int:
        """As `Client.remove_contribution`."""
        return await self._run(self._client.remove_contribution, contribution)

    async def remove_image(self, image: str) -> int:
        """As `Client.remove_image`."""
        return await self._run(self._client.remove_image, image)

    async def held(self) -> list[Json]:
        """As `Client.held`."""
        return await self._run(self._client.held)

    async def decide(self, contribution: str, *, accept: bool) -> int:
        """As `Client.decide`."""
        return await self._run(self._client.decide, contribution, accept=accept)

    async def changes(self, person: str | None = None, *, limit: int | None = 100) -> list[Json]:
        """As `Client.changes`."""
        return await self._run(self._client.changes, person, limit=limit)

    async def undo(self, revision: int) -> int:
        """As `Client.undo`."""
        return await self._run(self._client.undo, revision)

    async def forget(
        self, name: str | None = None, *, contribution: str | None = None, image: str | None = None
    ) -> Json:
        """As `Client.forget`."""
        return await self._run(self._client.forget, name, contribution=contribution, image=image)

    async def receipts(self, *, pending_only: bool = False) -> list[Json]:
        """As `Client.receipts`."""
        return await self._run(self._client.receipts, pending_only=pending_only)

    async def search(
        self,
        *,
        top_k: int = 10,
        fmr: float | None = None,
        fpir: float | None = None,
        threshold: float | None = None,
        **query: Any,
    ) -> Json:
        """As `Client.search`."""
        return await self._run(
            self._client.search, top_k=top_k, fmr=fmr, fpir=fpir, threshold=threshold, **query
        )

    async def verify(
        self, name: str, *, fmr: float | None = None, threshold: float | None = None, **query: Any
    ) -> Json:
        """As `Client.verify`."""
        return await self._run(self._client.verify, name, fmr=fmr, threshold=threshold, **query)

    async def explain(self, name: str, **query: Any) -> Json:
        """As `Client.explain`."""
        return await self._run(self._client.explain, name, **query)

    async def compare(
        self, first: Json, second: Json, *, fmr: float | None = None, threshold: float | None = None
    ) -> Json:
        """As `Client.compare`."""
        return await self._run(self._client.compare, first, second, fmr=fmr, threshold=threshold)

    async def fuse(self, **query: Any) -> npt.NDArray[np.float32]:
        """As `Client.fuse`."""
        return await self._run(self._client.fuse, **query)

    async def open_session(self) -> str:
        """As `Client.open_session`."""
        return await self._run(self._client.open_session)

    async def add_images(self, session: str, **query: Any) -> Json:
        """As `Client.add_images`."""
        return await self._run(self._client.add_images, session, **query)

    async def read_session(self, session: str, *, person: str | None = None) -> Json:
        """As `Client.read_session`."""
        return await self._run(self._client.read_session, session, person=person)

    async def close_session(self, session: str) -> None:
        """As `Client.close_session`."""
        await self._run(self._client.close_session, session)

    async def _run(self, call: Callable[..., _T], *given: Any, **named: Any) -> _T:
        return await asyncio.to_thread(call, *given, **named)
