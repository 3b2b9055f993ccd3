"""The application: routes behind limits, keys and problem details."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from probefusion.service.figures import Figures, Measured
from probefusion.service.guards.gate import Gate
from probefusion.service.guards.headers import SafeHeaders
from probefusion.service.hub import Hub
from probefusion.service.problems import handle_errors, problem
from probefusion.service.refused import NotesRefused
from probefusion.service.repeats import Repeats
from probefusion.service.routes import changes, contributions, fusing, health, people, searching
from probefusion.service.settings import ServiceSettings
from probefusion.service.work.joint_work import JointWork
from probefusion.version import __version__

__all__ = ["create_app"]


_ROOMS = (searching, fusing, health, people, contributions, changes)
"""Those that are asked for most are looked at first."""


class _Page(Mount):
    """Files of the page; paths of the API are none of them, so that what refuses those is the API."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a path may be a file."""
        if scope["path"].startswith("/v1/"):
            return Match.NONE, {}
        return super().matches(scope)


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service as an ASGI application.

    The gallery and the models are opened here, so that what is wrong shows before anything listens.

    Args:
        settings: Of the service.

    Raises:
        ProbeFusionError: If a gallery, a model or a file cannot be opened.
    """
    hub, joint = Hub(settings), JointWork()

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[None]:
        # Large bodies take turns: the event loop then shares the interpreter with one thread, not with many.
        started.state.parsing = CapacityLimiter(1)
        try:
            yield
        finally:
            joint.close()
            hub.close()

    app = FastAPI(
        title="probefusion",
        version=__version__,
        summary="People with a template each: fuse, search, explain, undo, forget.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=lifespan,
    )
    app.state.hub, app.state.joint, app.state.figures = hub, joint, Figures(hub)
    for room in _ROOMS:
        app.include_router(room.router)
    page = Path(__file__).with_name("page")
    app.router.routes.append(_Page("/", StaticFiles(directory=page, html=True), name="page"))
    handle_errors(app)
    app.add_exception_handler(405, _wrong_method)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Repeats, answers=hub.shared.answers, changes=hub)
    app.add_middleware(
        Gate, limits=settings.limits, is_known=hub.is_known, only_local=hub.access is None
    )
    if settings.access_log is not None:
        app.add_middleware(NotesRefused, hub=hub, routes=_operations())
    app.add_middleware(Measured)
    return app


def _operations() -> list[APIRoute]:
    return [route for room in _ROOMS for route in room.router.routes if isinstance(route, APIRoute)]


async def _wrong_method(request: Request, error: Exception) -> JSONResponse:
    """Tells all methods of a path; the router knows those of the first route of that path alone."""
    allowed = {
        method
        for route in _operations()
        if route.path_regex.match(request.scope["path"])
        for method in route.methods or ()
    }
    if not allowed and isinstance(error, HTTPException):  # a file
        allowed = set((error.headers or {}).get("Allow", "GET, HEAD").split(", "))
    named = ", ".join(sorted(allowed))
    return problem(
        405,
        f"expected {named}, got {request.method[:20]}.",
        code="unknown-method",
        headers={"Allow": named},
    )
