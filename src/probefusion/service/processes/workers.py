"""Several processes serve a gallery at one address; one that dies is begun anew."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from probefusion.errors import ProbeFusionError, WorkerError
from probefusion.service.settings import ServiceSettings

__all__ = ["Workers", "serve_together"]

_log = logging.getLogger("probefusion.service")

_POLL = 0.5
_MOST_FAILURES = 5
_LONGEST_PAUSE = 10.0
_DRAIN_SECONDS = 40.0
"""A little longer than a process takes to finish what is under way."""


def serve_together(
    settings: ServiceSettings, listening: socket.socket, *, started: Callable[[str], None]
) -> None:
    """Serves with `settings.workers` processes until it is interrupted; what is under way is finished first.

    Args:
        settings: Of the service.
        listening: As `listening_socket` gives it.
        started: Called with where the gallery lies, without a password, once all processes take requests.

    Raises:
        ProbeFusionError: If a gallery, a model or a file cannot be opened.
        WorkerError: If no process can be kept alive.
    """
    with (
        tempfile.TemporaryDirectory(prefix="probefusion-serve-") as figures,
        _asked_to_end() as end,
    ):
        workers = Workers(settings, listening, figures)
        try:
            address = workers.begin(end)
            if address is not None:
                started(address)
                workers.keep(end)
        finally:
            workers.end()


class _Worker:
    """A process, and what it said."""

    def __init__(self, settings: ServiceSettings, listening: socket.socket, figures: str) -> None:
        from probefusion.service.processes.worker import work

        spawn = multiprocessing.get_context("spawn")
        self.parent, child = spawn.Pipe()
        self.process = spawn.Process(target=work, args=(settings, listening, figures, child))
        self.process.start()
        child.close()
        self.is_ready = False

    def said(self) -> Any:
        """What it says next: where the gallery lies, or an error; None if it ended without a word."""
        try:
            found = self.parent.recv() if self.parent.poll() else None
        except (EOFError, OSError):
            return None
        self.is_ready = isinstance(found, str)
        return found

    def end(self) -> None:
        """Asks it to finish."""
        if self.process.exitcode is None:
            self.process.terminate()

    def how_it_ended(self) -> str:
        """In words."""
        code = self.process.exitcode or 0
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"


class Workers:
    """The processes of a service.

    Args:
        settings: Of the service.
        listening: The socket that they share.
        figures: Folder of the figures that they share.
    """

    def __init__(self, settings: ServiceSettings, listening: socket.socket, figures: str) -> None:
        self._settings, self._listening, self._figures = settings, listening, figures
        self._workers: list[_Worker] = []
        self._failures = 0

    def begin(self, end: threading.Event) -> str | None:
        """Begins all processes: the first alone, which makes what is missing and tells what is wrong.

        Returns:
            Where the gallery lies, without a password; None if it was asked to end first.

        Raises:
            ProbeFusionError: As the first one that cannot begin says.
        """
        address = None
        for number in (1, self._settings.workers - 1):
            self._workers += [self._new() for _ in range(number)]
            while not all(worker.is_ready for worker in self._workers):
                if end.is_set():
                    return None
                self._wait()
                for worker in [each for each in self._workers if not each.is_ready]:
                    said = worker.said()
                    if isinstance(said, BaseException):
                        raise said
                    if said is None and not worker.process.is_alive():
                        raise WorkerError(
                            f"process {worker.process.pid} of the service {worker.how_it_ended()} before it was ready."
                        )
                    address = said or address
        return address

    def keep(self, end: threading.Event) -> None:
        """Begins a new process for each that dies, until it is asked to end.

        Raises:
            WorkerError: If none is alive, and new ones fail time and again.
        """
        while not end.is_set():
            self._wait()
            for worker in [each for each in self._workers if not each.is_ready]:
                self._listen_to(worker)
            dead = [each for each in self._workers if not each.process.is_alive()]
            for worker in dead:
                if end.is_set():
                    return
                self._replace(worker, end)

    def end(self) -> None:
        """Has all processes finish what is under way, and ends those that take too long."""
        self._listening.close()  # nobody new is let in; the processes close theirs
        for worker in self._workers:
            worker.end()
        until = time.monotonic() + _DRAIN_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                _log.error(
                    "process %d of the service did not end in time and is killed",
                    worker.process.pid,
                )
                worker.process.kill()
                worker.process.join()
            worker.parent.close()

    def _new(self) -> _Worker:
        return _Worker(self._settings, self._listening, self._figures)

    def _wait(self) -> None:
        """Until one says something or dies, or a moment has passed."""
        watched: list[Connection | int] = [each.process.sentinel for each in self._workers]
        watched += [each.parent for each in self._workers if not each.is_ready]
        wait(watched, _POLL)

    def _listen_to(self, worker: _Worker) -> None:
        said = worker.said()
        if worker.is_ready:
            self._failures = 0
        elif isinstance(said, ProbeFusionError):
            _log.error("process %d of the service cannot begin: %s", worker.process.pid, said)

    def _replace(self, worker: _Worker, end: threading.Event) -> None:
        how = worker.how_it_ended()
        if not worker.is_ready:
            self._failures += 1
            others = any(each.is_ready for each in self._workers if each is not worker)
            if self._failures >= _MOST_FAILURES and not others:
                raise WorkerError(
                    f"{self._failures} processes of the service ended one after the other before they were ready, the "
                    f"last {how}. What they said stands above."
                )
            end.wait(min(_LONGEST_PAUSE, 0.5 * 2**self._failures))
            if end.is_set():
                return
        _log.error("process %d of the service %s; another one begins", worker.process.pid, how)
        worker.parent.close()
        self._workers[self._workers.index(worker)] = self._new()


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, which take their usual way once the block has ended."""
    end = threading.Event()
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield end
        return

    def ask(number: int, _: object) -> None:
        caught.append(number)
        end.set()

    previous = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for caught_number in caught[:1]:
        signal.raise_signal(caught_number)
