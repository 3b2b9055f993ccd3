"""The engine of a Ray cluster: actors that keep what they opened; only tasks and small outcomes travel."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from probefusion.archives.engines.answers import (
    MOST_DEATHS,
    Answer,
    TaskRunner,
    died_too_often,
    outcome_of,
)
from probefusion.archives.engines.engine import Engine, Work
from probefusion.errors import ConfigError, WorkerError, in_one_line
from probefusion.extras import import_extra
from probefusion.workers import available_threads

__all__ = ["RayEngine"]

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_OBJECT_STORE = 100_000_000
"""Bytes of the store of objects of a Ray that is started here: tasks and outcomes are small."""
_PATIENCE = 10.0
"""Seconds that the head of a cluster may take to open a connection."""
_LONGEST_FOLDER = 40
"""Ray makes sockets 60 characters below its folder, and their names may have 107."""


class RayEngine(Engine):
    """Actors of Ray, one task at a time each, with one core.

    Actors that died are replaced. A cluster that runs already is left running.

    Args:
        address: "auto", "HOST:PORT" or "ray://HOST:PORT" of a cluster; None for the Ray that this process is
            connected to, or else one that is started on this machine and ended by `close`.
        num_workers: Actors; None for one per core of the cluster, or per GPU where they need some.
        gpus_per_worker: GPUs, or the share of one, that each actor is given.

    Raises:
        MissingExtraError: If Ray is not installed.
        WorkerError: If the cluster cannot be reached, or none can be started.
        ConfigError: If it is not known how many actors there shall be, or a Ray started here has no such GPUs.
    """

    name = "ray"

    def __init__(
        self,
        address: str | None = None,
        num_workers: int | None = None,
        *,
        gpus_per_worker: float = 0,
    ) -> None:
        with _quiet():
            self._ray = import_extra("ray", extra="ray", purpose="the engine 'ray'")
        self._folder: Path | None = None
        self._is_ours = not self._ray.is_initialized()
        self._gpus = gpus_per_worker
        if self._is_ours:
            self._connect(address, num_workers)
        try:
            self.num_workers = num_workers or self._room()
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str | None, num_workers: int | None) -> None:
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            root = tempfile.gettempdir()
            root = root if len(root) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - a new folder in it
            self._folder = Path(tempfile.mkdtemp(prefix="pf-", dir=root))
            settings |= {
                "address": "local",
                "num_cpus": num_workers or available_threads(),
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE,
                "_temp_dir": str(self._folder),
            }
        else:
            _check_answers(address)
            settings["address"] = address
        try:
            with _quiet(), _keeping_signals():
                self._ray.init(**settings)
            # It tells of workers that died on standard output, where a command's data goes.
            self._ray._private.worker._worker_logs_enabled = False
        except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
            self._remove_folder()
            where = "could not be started here" if address is None else f"at {address!r}: no answer"
            raise WorkerError(
                f"ray {where} ({_first_line(error)}). Look at it with: ray status. Where it asks for "
                f"a token, set RAY_AUTH_MODE and RAY_AUTH_TOKEN as its owner says."
            ) from error

    def _room(self) -> int:
        """How many actors have room in the cluster as it is."""
        resources = self._ray.cluster_resources()
        room = int(resources.get("CPU", 0))
        if self._gpus:
            room = min(room, int(resources.get("GPU", 0) / self._gpus))
        if room < 1:
            raise ConfigError(
                f"workers: expected room for one with 1 core and {self._gpus:g} GPUs, got a cluster with "
                f"{resources.get('CPU', 0):g} cores and {resources.get('GPU', 0):g} GPUs now. Where it grows by "
                f"itself, say how many there shall be: --workers N (num_workers=N)."
            )
        return room

    def run(
        self, work: Work[Task, Outcome], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome]]:
        """Does all tasks in actors that have room; see `Engine.run`."""
        paths = None if self._folder is None else list(sys.path)
        run = _Run(self._ray, pickle.dumps(work), self._gpus, paths)
        try:
            yield from run.outcomes(tasks, min(self.num_workers, len(tasks)))
        finally:
            run.end()

    def close(self) -> None:
        """Lets go of the cluster; one that was started here ends."""
        if self._is_ours and self._ray.is_initialized():
            with _keeping_signals():
                self._ray.shutdown()
        self._remove_folder()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Run:
    """Tasks of one work and the actors that do them."""

    def __init__(self, ray: Any, work: bytes, gpus: float, paths: list[str] | None) -> None:
        self._ray = ray
        self._arguments = (work, paths)
        self._class = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._under_way: dict[Any, tuple[Any, int | None]] = {}
        self._actors: set[Any] = set()
        self._failed_starts = 0

    def outcomes(self, tasks: Sequence[Any], num_actors: int) -> Iterator[tuple[int, Any]]:
        """Place and outcome of each task as it ends; an actor for which there is no room yet holds none up."""
        todo = list(reversed(range(len(tasks))))
        deaths = [0] * len(tasks)
        num_left = len(tasks)
        for _ in range(num_actors):
            self._start()
        while num_left:
            actor, index, answer, reason = self._next()
            if reason:
                self._note_death(tasks, index, deaths, reason)
                if index is not None:
                    todo.append(index)
                self._start()
                continue
            if todo:
                following = todo.pop()
                self._under_way[actor.answer.remote(pickle.dumps(tasks[following]))] = (
                    actor,
                    following,
                )
            else:
                self._end(actor)  # another one may wait for its room
            if index is not None:
                num_left -= 1
                yield index, outcome_of(answer)

    def end(self) -> None:
        """Ends all actors."""
        for actor in list(self._actors):
            self._end(actor)

    def _next(self) -> tuple[Any, int | None, Any, str]:
        """What ended next: actor, place of the task (None: it began), answer, and how the actor died if it did.

        Raises:
            WorkerError: If workers cannot take the task, or the connection to the cluster is lost.
        """
        errors = self._ray.exceptions
        try:
            (ended, *_), _ = self._ray.wait(list(self._under_way), num_returns=1)
            actor, index = self._under_way.pop(ended)
            try:
                return actor, index, self._ray.get(ended), ""
            except (
                errors.RayActorError,
                errors.ObjectLostError,
                errors.OutOfMemoryError,
                errors.WorkerCrashedError,
            ) as error:
                self._end(actor)
                return actor, index, None, _first_line(error) or "unknown"
        except (errors.RayError, ConnectionError) as error:
            raise WorkerError(
                f"ray: the cluster failed ({_first_line(error)}). Look at it with: ray status. A rerun goes on from "
                f"what is finished."
            ) from error

    def _note_death(
        self, tasks: Sequence[Any], index: int | None, deaths: list[int], reason: str
    ) -> None:
        """Counts who died at what.

        Raises:
            WorkerError: If it was too often.
        """
        if index is None:
            self._failed_starts += 1
            if self._failed_starts >= MOST_DEATHS * MOST_DEATHS:
                raise WorkerError(
                    f"ray: workers do not start ({reason}). Install the same probefusion and Python on every machine "
                    f"of the cluster, and run it again."
                )
            return
        deaths[index] += 1
        if deaths[index] >= MOST_DEATHS:
            raise died_too_often(tasks[index], reason)

    def _start(self) -> None:
        actor = self._class.remote(*self._arguments)
        self._actors.add(actor)
        self._under_way[actor.ready.remote()] = (actor, None)

    def _end(self, actor: Any) -> None:
        self._actors.discard(actor)
        with suppress(ValueError):  # it is gone already
            self._ray.kill(actor)


class _Actor:
    """A worker of Ray.

    Args:
        work: Pickled; opened with the first task.
        paths: Where to import from, if it is not for the machine that the actor is on to say.
    """

    def __init__(self, work: bytes, paths: list[str] | None) -> None:
        if paths is not None:
            sys.path[:] = paths
        self._work = work
        self._runner = TaskRunner()

    def ready(self) -> None:
        """Answers when there is room for the actor."""

    def answer(self, task: bytes) -> Answer:
        """Does a task."""
        return self._runner.answer(self._work, task)


def _check_answers(address: str) -> None:
    """Knocks at HOST:PORT, as Ray itself would go on trying for minutes; other addresses are Ray's to judge.

    Raises:
        WorkerError: If nobody opens.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise WorkerError(
            f"ray at {address!r}: no answer ({in_one_line(str(error))}). Look whether it runs, and at the address "
            f"(--ray-address)."
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return in_one_line(lines[0]).rstrip(".") if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray tells of its own future by warnings while it is imported and started; they are not about our work."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        yield


@contextmanager
def _keeping_signals() -> Iterator[None]:
    """Ray handles SIGTERM itself once it is started; what a command does with it stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
