"""Notes who was refused: middleware around the gate and all routes."""

from __future__ import annotations

from collections.abc import Sequence

from anyio import CapacityLimiter, to_thread
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.service.guards.refusals import RefusalKind
from probefusion.service.hub import Hub
from probefusion.service.problems import code_of

__all__ = ["NotesRefused"]

_REFUSED = (401, 403)


class NotesRefused:
    """Middleware: an answer of 401 or 403 is noted in the log of accesses before it is sent.

    Args:
        app: What is behind it.
        hub: Whose log.
        routes: All operations.
    """

    def __init__(self, app: ASGIApp, hub: Hub, routes: Sequence[APIRoute]) -> None:
        self._app, self._hub, self._routes = app, hub, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        held: Message | None = None

        async def noting(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                held = message
                return
            if held is not None:
                begin, held = held, None
                await self._note(scope, begin["status"], message.get("body", b""))
                await send(begin)
            await send(message)

        await self._app(scope, receive, noting)

    async def _note(self, scope: Scope, status: int, body: bytes) -> None:
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        actor, named_key = self._hub.caller_of(authorization)
        operation, collection = self._asked_for(scope)
        kind = RefusalKind(
            actor=actor,
            status=status,
            reason=code_of(body),
            operation=operation,
            collection=collection if collection in self._hub.galleries else None,
            address=scope["client"][0] if scope.get("client") else None,
            named_key=named_key,
        )
        if self._hub.refusals.count(kind):
            await to_thread.run_sync(self._hub.refusals.write, kind, limiter=CapacityLimiter(1))

    def _asked_for(self, scope: Scope) -> tuple[str, str | None]:
        """Name of the operation, and the collection that the path names; the gate refuses before they are known."""
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return route.name, found["path_params"].get("collection")
        return "none", None
