"""The engine of one machine: processes that each do one task at a time, with one thread."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import IO, Any, TypeVar, cast

from probefusion.archives.engines.answers import (
    MOST_DEATHS,
    Answer,
    died_too_often,
    outcome_of,
)
from probefusion.archives.engines.engine import Engine, Work
from probefusion.workers import available_threads

__all__ = ["ONE_THREAD", "LocalEngine"]

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""What tells the libraries of linear algebra that other workers use the other cores."""

_START = "from probefusion.archives.engines.local_worker import main; main()"
_PATIENCE = 5.0
"""Seconds that a worker has to end when it is asked to."""


class LocalEngine(Engine):
    """Processes of this machine; with one worker, this process itself.

    The processes are new ones, which import what they need: nothing of this one, no thread and no lock, is
    copied. They end when this one ends, however it ends.

    Args:
        num_workers: Processes; None for one per core.
    """

    name = "local"

    def __init__(self, num_workers: int | None = None) -> None:
        self.num_workers = available_threads() if num_workers is None else num_workers
        self._idle: list[_Worker] = []

    def run(
        self, work: Work[Task, Outcome], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome]]:
        """Does all tasks, each worker one after the other; see `Engine.run`."""
        if self.num_workers == 1:
            call = work.open()
            for index, task in enumerate(tasks):
                yield index, call(task)
            return
        yield from _Run(pickle.dumps(work), self._idle, self.num_workers).outcomes(tasks)

    def close(self) -> None:
        """Ends the workers."""
        while self._idle:
            self._idle.pop().end()


class _Run:
    """Tasks of one work, each in a thread that waits for its worker.

    Args:
        work: Pickled.
        idle: Workers that may be used; those that still live are there again at the end.
        num_workers: Workers at the same time.
    """

    def __init__(self, work: bytes, idle: list[_Worker], num_workers: int) -> None:
        self._work = work
        self._idle = idle
        self._num_workers = num_workers
        self._opened: set[_Worker] = set()
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def outcomes(self, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Place and outcome of each task as it ends; at most one task a worker is under way or waits to be taken."""
        todo = iter(enumerate(tasks))
        pool = ThreadPoolExecutor(self._num_workers, thread_name_prefix="probefusion-worker")
        running: dict[Future[Answer], int] = {}

        def begin() -> None:
            with suppress(StopIteration):
                index, task = next(todo)
                running[pool.submit(self._answer, task)] = index

        try:
            for _ in range(self._num_workers):
                begin()
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    index = running.pop(future)
                    outcome = outcome_of(future.result())
                    begin()
                    yield index, outcome
        finally:
            self._end_busy()
            pool.shutdown()

    def _answer(self, task: object) -> Answer:
        """Has a task done, by as many workers as it takes."""
        reason = ""
        for _ in range(MOST_DEATHS):
            worker = self._take()
            try:
                answer = worker.ask(None if worker in self._opened else self._work, task)
            except _DiedError as error:
                reason = str(error)
                with self._lock:
                    self._busy.discard(worker)
                    if self._is_over:
                        break
                continue
            except BaseException:  # a task that cannot be pickled: the worker does not know of it
                self._put_back(worker)
                raise
            self._opened.add(worker)
            self._put_back(worker)
            return answer
        raise died_too_often(task, reason)

    def _take(self) -> _Worker:
        """A worker; new where none is idle. That of a run that is over is ended at once."""
        with self._lock:
            worker = self._idle.pop() if self._idle else _Worker()
            self._busy.add(worker)
            if self._is_over:
                worker.kill()
            return worker

    def _put_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            self._idle.append(worker)

    def _end_busy(self) -> None:
        with self._lock:
            self._is_over = True
            for worker in self._busy:
                worker.kill()


class _DiedError(Exception):
    """A worker is gone; says how."""


class _Worker:
    """A process, which does one task at a time."""

    def __init__(self) -> None:
        options = [part for option in sys.warnoptions for part in ("-W", option)]
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and nothing that anybody gave
            [sys.executable, *options, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # Ctrl-C is for this process, which then ends the workers
        )
        with suppress(OSError):
            self._send(pickle.dumps(sys.path))

    def ask(self, work: bytes | None, task: object) -> Answer:
        """Has a task done.

        Raises:
            _DiedError: If the process ended.
        """
        message = pickle.dumps((work, pickle.dumps(task)))
        try:
            self._send(message)
            answer: Answer = pickle.load(cast("IO[bytes]", self._process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise _DiedError(self._ending()) from error
        return answer

    def kill(self) -> None:
        """Ends the process at once; whoever waits for an answer learns that it died."""
        self._process.kill()

    def end(self) -> None:
        """Lets the process end, and ends it where it does not."""
        with suppress(OSError):
            self._send(pickle.dumps(None))
        self._ending()

    def _send(self, message: bytes) -> None:
        stream = cast("IO[bytes]", self._process.stdin)
        stream.write(message)
        stream.flush()

    def _ending(self) -> str:
        """Waits for the end of the process, which is near, and says how it came."""
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was not sent is lost with the process
                cast("IO[bytes]", stream).close()
        if status >= 0:
            return f"it ended by itself with exit code {status}"
        return f"it was ended by signal {-status}, {signal.strsignal(-status)}"
