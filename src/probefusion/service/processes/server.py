"""Runs the application: uvicorn, with the service's settings."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

from probefusion.errors import ConfigError, StoreError
from probefusion.extras import import_extra
from probefusion.files.paths import check_file
from probefusion.service.settings import ServiceSettings

__all__ = ["check_tls", "listening_socket", "serve"]

_WAITING = 2048
"""Whoever connects before the models are loaded waits, and is not refused."""


def listening_socket(settings: ServiceSettings) -> socket.socket:
    """The socket at which the service listens; bound before models are loaded, so that a taken port shows at once.

    Raises:
        ConfigError: If there is no such address.
        StoreError: If the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
    except socket.gaierror:
        raise ConfigError(f"host: expected an address or a name, got {settings.host!r}.") from None
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
        found.listen(_WAITING)
    except OSError as error:
        found.close()
        raise StoreError(
            f"{settings.host}:{settings.port}: cannot listen there ({error.strerror}). Take another --port, or 0 for a "
            f"free one."
        ) from None
    return found


def check_tls(settings: ServiceSettings) -> None:
    """Whether certificate and key can be used, before anybody is told that the service is there.

    Raises:
        MissingFileError: If one is not there.
        ConfigError: If they do not hold a certificate and its key.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    certificate = check_file(settings.tls_certificate, name="--tls-certificate")
    key = check_file(settings.tls_key, name="--tls-key")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise ConfigError(
            f"--tls-certificate, --tls-key: expected a certificate chain and its private key in PEM, got "
            f"{certificate.name} and {key.name} ({error.reason or error})."
        ) from None


def serve(
    settings: ServiceSettings, listening: socket.socket, *, started: Callable[[str], None]
) -> None:
    """Serves until it is interrupted; what is under way is finished first.

    Args:
        settings: Of the service.
        listening: As `listening_socket` gives it.
        started: Called with where the gallery lies, without a password, before requests are taken.

    Raises:
        ProbeFusionError: If a gallery, a model or a file cannot be opened.
        MissingExtraError: If the web framework is not installed.
    """
    uvicorn: Any = import_extra("uvicorn", extra="serve", purpose="serving a gallery")
    import_extra("fastapi", extra="serve", purpose="serving a gallery")
    check_tls(settings)
    if settings.workers > 1:
        from probefusion.service.processes.workers import serve_together

        serve_together(settings, listening, started=started)
        return
    from probefusion.service.app import create_app
    from probefusion.service.processes.running import config_of

    app = create_app(settings)
    started(next(iter(app.state.hub.galleries.values())).address)
    uvicorn.Server(config_of(app, settings)).run(sockets=[listening])
