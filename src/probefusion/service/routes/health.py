"""Is it there, is it ready, what does it do."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response

from probefusion.errors import ProbeFusionError
from probefusion.service.calls import Reader
from probefusion.service.hub import Hub
from probefusion.service.problems import Refusal
from probefusion.version import __version__

__all__ = ["router"]

_log = logging.getLogger("probefusion.service")

router = APIRouter(tags=["health"])


def _apart() -> CapacityLimiter:
    """A thread of its own, so that watchdogs are answered when all others work."""
    return CapacityLimiter(1)


@dataclass(frozen=True, kw_only=True)
class Health:
    """The service answers."""

    status: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Collections:
    """Collections that the caller's key may see."""

    names: tuple[str, ...]


@router.get("/v1/health", summary="The service answers")
async def health() -> Health:
    return Health(status="ok", version=__version__)


@router.get("/v1/ready", summary="Its galleries can be read; 503 otherwise")
async def ready(request: Request) -> Health:
    hub: Hub = request.app.state.hub

    def look() -> None:
        for gallery in hub.galleries.values():
            _ = gallery.revision

    try:
        await to_thread.run_sync(look, limiter=_apart())
    except ProbeFusionError as error:
        _log.error("not ready: %s", error)
        raise Refusal(
            503, "its galleries cannot be read; its log says why.", code="store"
        ) from error
    return Health(status="ready", version=__version__)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(request: Request, call: Reader) -> Response:
    content, media_type = await to_thread.run_sync(request.app.state.figures.text, limiter=_apart())
    return Response(content, media_type=media_type)


@router.get("/v1/collections", summary="Collections")
async def collections(call: Reader) -> Collections:
    return Collections(names=call.visible_collections())
