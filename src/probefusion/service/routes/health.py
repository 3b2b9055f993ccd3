"""Is it there, is it ready, what does it do."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from probefusion.service.calls import Reader
from probefusion.service.hub import Hub
from probefusion.version import __version__

__all__ = ["router"]

router = APIRouter(tags=["health"])


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
def health() -> Health:
    return Health(status="ok", version=__version__)


@router.get("/v1/ready", summary="Its galleries can be read; 503 otherwise")
def ready(request: Request) -> Health:
    hub: Hub = request.app.state.hub
    for gallery in hub.galleries.values():
        _ = gallery.revision
    return Health(status="ready", version=__version__)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(request: Request) -> Response:
    content, media_type = request.app.state.figures.text()
    return Response(content, media_type=media_type)


@router.get("/v1/collections", summary="Collections")
def collections(call: Reader) -> Collections:
    return Collections(names=call.visible_collections())
