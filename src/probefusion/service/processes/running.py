"""How uvicorn runs the application."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from probefusion.service.guards.patience import patient_protocol
from probefusion.service.settings import ServiceSettings

__all__ = ["WAITING", "config_of"]

WAITING = 2048
"""Connections that may wait to be taken."""

_KEEP_ALIVE = 15
_MOST_CONNECTIONS = 4096
_DRAIN_SECONDS = 30


def _most_connections() -> int:
    """Half of what the system lets a process open, so that the gallery's own files can always be."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft < 0 else min(_MOST_CONNECTIONS, max(1, soft // 2))


def config_of(app: FastAPI, settings: ServiceSettings, *, backlog: int = WAITING) -> uvicorn.Config:
    """How uvicorn runs the application.

    Args:
        app: The application.
        settings: Of the service.
        backlog: Connections that are taken one after the other, before requests are looked at.
    """
    return uvicorn.Config(
        app,
        backlog=backlog,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        http=patient_protocol(settings.limits, _most_connections()),
        ws="none",
        proxy_headers=False,
        h11_max_incomplete_event_size=65536,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
