"""One of the processes that serve a gallery together: what it runs, and what it tells who began it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import uvicorn

from probefusion.errors import ProbeFusionError
from probefusion.service.app import create_app
from probefusion.service.process_figures import FIGURES
from probefusion.service.processes.running import WAITING, config_of
from probefusion.service.settings import ServiceSettings

__all__ = ["STARTUP_FAILURE", "work"]

STARTUP_FAILURE = 3
"""How a process ends that could not begin."""


class _Server(uvicorn.Server):
    """Takes one connection at a time, so that the others get theirs too; says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; whoever waits to be taken is not refused."""
        await super().startup(sockets=sockets)
        for each in sockets or ():
            each.listen(WAITING)
        if self.started:
            self._ready()


def work(
    settings: ServiceSettings, listening: socket.socket, figures: str, parent: Connection
) -> None:
    """Serves until it is told to end, or the process that began it is gone.

    Args:
        settings: Of the service.
        listening: The socket that all processes share.
        figures: Folder of the figures that all processes share.
        parent: Is told where the gallery lies once requests are taken, or the error that stands in the way.
    """
    os.environ[FIGURES] = figures  # before the client of Prometheus is loaded
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches who began it, which tells the others
    try:
        app = create_app(settings)
    except (ProbeFusionError, OSError) as error:
        _tell(parent, error)
        raise SystemExit(STARTUP_FAILURE) from None
    address = next(iter(app.state.hub.galleries.values())).address
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    config = config_of(app, settings, backlog=1)
    _Server(config, lambda: _tell(parent, address)).run(sockets=[listening])


def _tell(parent: Connection, what: object) -> None:
    try:
        parent.send(what)
    except OSError:  # it is gone, which ends this process too
        return
    except Exception:  # noqa: BLE001 - an error that cannot be sent as it is
        parent.send(ProbeFusionError(str(what)))


def _end_with(parent: Connection) -> None:
    """Waits for the end of who began this process, and ends it in good order."""
    try:
        parent.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
