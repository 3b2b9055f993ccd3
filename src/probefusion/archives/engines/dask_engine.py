"""The engine of Dask: a cluster of `distributed`, here or elsewhere."""

from __future__ import annotations

import logging
import pickle
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
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

__all__ = ["DaskEngine"]

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_PATIENCE = "20s"
"""How long a scheduler may take to answer at first."""
_mine = threading.local()


class DaskEngine(Engine):
    """Workers of Dask, one task at a time each.

    The scheduler gives the task of a worker that died to another one. A cluster that runs already is left running.

    Args:
        address: "tcp://HOST:PORT" of a scheduler, or a file that it wrote (`--scheduler-file`); None starts workers on
            this machine, which `close` ends.
        num_workers: Workers, or of a cluster: tasks at the same time; None for one per core of this machine, or per
            thread of the cluster.

    Raises:
        MissingExtraError: If `distributed` is not installed.
        WorkerError: If the scheduler does not answer.
        ConfigError: If the cluster has no workers, and it is not said how many there shall be.
    """

    name = "dask"

    def __init__(self, address: str | None = None, num_workers: int | None = None) -> None:
        self._distributed = import_extra("distributed", extra="dask", purpose="the engine 'dask'")
        self._cluster: Any = None
        self._folder: str | None = None
        self._client: Any = None
        try:
            if address is None:
                self.num_workers = num_workers or available_threads()
                self._start_here()
            else:
                self._connect(address)
                self.num_workers = num_workers or self._room()
        except BaseException:
            self.close()
            raise

    def _start_here(self) -> None:
        dask = import_extra("dask", extra="dask", purpose="the engine 'dask'")
        self._folder = tempfile.mkdtemp(prefix="pf-")
        settings = {
            "distributed.scheduler.allowed-failures": MOST_DEATHS - 1,
            "distributed.scheduler.worker-saturation": 1.0,
            "logging": dict.fromkeys(("distributed", "distributed.client", "bokeh"), "critical"),
        }
        with dask.config.set(settings):
            self._cluster = self._distributed.LocalCluster(
                n_workers=self.num_workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",  # None would take port 8787, which another Dask may hold
                local_directory=self._folder,
                silence_logs=logging.CRITICAL,
            )
        self._client = self._distributed.Client(self._cluster, set_as_default=False)

    def _connect(self, address: str) -> None:
        place = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            self._client = self._distributed.Client(
                **place, timeout=_PATIENCE, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"dask at {address!r}: no answer ({in_one_line(str(error))}). Look whether its scheduler runs, and at "
                f"the address (--dask-address)."
            ) from error

    def _room(self) -> int:
        """Threads of all workers of the cluster as it is."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        room = sum(worker["nthreads"] for worker in workers)
        if not room:
            raise ConfigError(
                "workers: expected a cluster with workers, got one without. Start them, or, where it grows by itself, "
                "say how many tasks there shall be at the same time: --workers N (num_workers=N)."
            )
        return int(room)

    def run(
        self, work: Work[Task, Outcome], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome]]:
        """Does all tasks; as many as there are workers are under way at the same time; see `Engine.run`."""
        pickled = pickle.dumps(work)
        todo = iter(range(len(tasks)))
        ended = self._distributed.as_completed(loop=self._client.loop, raise_errors=False)
        under_way: dict[Any, int] = {}

        def begin() -> None:
            with suppress(StopIteration):
                index = next(todo)
                future = self._client.submit(
                    _answer, pickled, pickle.dumps(tasks[index]), pure=False
                )
                under_way[future] = index
                ended.add(future)

        try:
            for _ in range(self.num_workers):
                begin()
            while under_way:
                future = next(ended)
                index = under_way.pop(future)
                outcome = outcome_of(self._taken(future, tasks[index]))
                begin()
                yield index, outcome
        finally:
            if under_way:
                self._client.cancel(list(under_way), force=True)

    def _taken(self, future: Any, task: object) -> Answer:
        """The answer of a task that ended.

        Raises:
            WorkerError: If workers died at it, or could not take it.
        """
        try:
            answer: Answer = future.result()
        except self._distributed.KilledWorker as error:
            raise died_too_often(
                task, in_one_line(f"worker {error.last_worker.address}")
            ) from error
        except Exception as error:  # what a task raises is in its answer
            raise WorkerError(
                f"dask: the cluster failed ({type(error).__name__}: {in_one_line(str(error))}). Install the same "
                f"probefusion and Python on every machine of it. A rerun goes on from what is finished."
            ) from error
        return answer

    def close(self) -> None:
        """Lets go of the cluster; workers that were started here end."""
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _answer(work: bytes, task: bytes) -> Answer:
    """Does a task in a worker, each of whose threads keeps what it opened."""
    if not hasattr(_mine, "runner"):
        _mine.runner = TaskRunner()
    runner: TaskRunner = _mine.runner
    return runner.answer(work, task)
