"""A lane: one thread that works off what waits, all of it at once, for many requests of an event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from probefusion.service.guards.deadline import nobody_waits

__all__ = ["Lane"]

Job = TypeVar("Job")
Answer = TypeVar("Answer")


_Work: TypeAlias = Callable[[Sequence[Job]], Sequence[Answer | BaseException]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting(Generic[Job, Answer]):
    job: Job
    is_wanted: Callable[[], bool]
    future: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop


class Lane(Generic[Job, Answer]):
    """Work of many requests in one thread, so that requests do not take the interpreter from each other.

    Nobody waits for others to come: a job that finds nothing under way begins at once; those that arrive meanwhile
    are worked on together next. A job whose request was given up before its turn is never begun.

    Args:
        work: Gives for each of some jobs its answer, or the error that its request is to see.
        name: Of the thread.
        most: Jobs that are worked on together.
    """

    def __init__(
        self,
        work: _Work[Job, Answer],
        *,
        name: str,
        most: int,
    ) -> None:
        self._work, self._name, self._most = work, name, most
        self._queue: queue.SimpleQueue[_Waiting[Job, Answer] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def ask(self, job: Job, is_wanted: Callable[[], bool]) -> Answer:
        """What comes of a job.

        Args:
            job: The job.
            is_wanted: Whether somebody waits for the answer; asked when its turn comes.

        Raises:
            Refusal: If nobody waited for the answer any more.
            BaseException: As `work` says of it.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting[Job, Answer](
            job=job, is_wanted=is_wanted, future=loop.create_future(), loop=loop
        )
        if self._thread is None:
            self._start()
        self._queue.put(waiting)
        return await waiting.future

    def close(self) -> None:
        """Ends the thread when all that waits is done."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            waiting = self._take()
            if waiting is None:
                return
            if waiting:
                self._answer(waiting, self._work)

    def _take(self) -> list[_Waiting[Job, Answer]] | None:
        """All that waits and is still wanted; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        taken = [first]
        while len(taken) < self._most:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._queue.put(None)  # the end comes after what was taken
                break
            taken.append(following)
        wanted = []
        for each in taken:
            if each.future.cancelled():
                continue
            if each.is_wanted():
                wanted.append(each)
            else:
                self._answer([each], lambda _: [nobody_waits()])
        return wanted

    def _answer(self, waiting: list[_Waiting[Job, Answer]], work: _Work[Job, Answer]) -> None:
        try:
            answers = work([each.job for each in waiting])
        except Exception as error:  # noqa: BLE001 - rises where it was asked for
            answers = [error] * len(waiting)
        for loop in {each.loop for each in waiting}:
            told = [
                (each.future, answer)
                for each, answer in zip(waiting, answers, strict=True)
                if each.loop is loop
            ]
            try:
                loop.call_soon_threadsafe(_tell, told)
            except RuntimeError:  # the loop was closed: nobody is there any more
                continue


def _tell(told: Sequence[tuple[asyncio.Future[Answer], Answer | BaseException]]) -> None:
    for future, answer in told:
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
