"""The application: routes behind limits, keys and problem details."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from probefusion.service.figures import Figures, Measured
from probefusion.service.gate import Gate
from probefusion.service.headers import SafeHeaders
from probefusion.service.hub import Hub
from probefusion.service.joint_work import JointWork
from probefusion.service.problems import handle_errors
from probefusion.service.repeats import Repeats
from probefusion.service.routes import changes, contributions, fusing, health, people, searching
from probefusion.service.settings import ServiceSettings
from probefusion.version import __version__

__all__ = ["create_app"]


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
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
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
    for room in (searching, fusing, health, people, contributions, changes):  # by how often
        app.include_router(room.router)
    page = Path(__file__).with_name("page")
    app.mount("/", StaticFiles(directory=page, html=True), name="page")
    handle_errors(app)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Repeats, answers=hub.shared.answers, changes=hub)
    app.add_middleware(
        Gate, limits=settings.limits, is_known=hub.is_known, only_local=hub.access is None
    )
    app.add_middleware(Measured)
    return app
