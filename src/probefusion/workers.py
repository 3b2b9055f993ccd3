"""Threads that work on images side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["MAX_THREADS", "available_threads", "map_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


MAX_THREADS = 1024
"""More threads than this are refused: they would only exhaust the machine."""


def available_threads() -> int:
    """How many threads this process may run at the same time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_threads: int,
    *,
    ahead: int | None = None,
) -> Iterator[Result]:
    """Results of a function for each item, in the items' order.

    NumPy, OpenCV and ONNX Runtime let go of the interpreter while they compute, so threads suffice.
    With one item, or one thread that need not work ahead, everything runs in the calling thread.

    Args:
        function: What to compute; may run in several threads at the same time.
        items: Its arguments, taken by the calling thread as they are needed.
        num_threads: Threads to use, the calling one among them, at least 1.
        ahead: Items under way or waiting to be taken; None for two per thread.
    """
    queue = iter(items)
    head = list(islice(queue, 2))
    if len(head) < 2 or (num_threads < 2 and ahead is None):
        yield from map(function, head)
        yield from map(function, queue)
        return
    pool = _pool(os.getpid(), max(1, num_threads - 1))
    depth = max(2, 2 * num_threads if ahead is None else ahead)
    # The second item first: the calling thread begins with the first one.
    waiting: deque[_Task[Item, Result]] = deque(
        _Task(pool, function, item) for item in reversed(head)
    )
    waiting.reverse()
    try:
        waiting.extend(_Task(pool, function, item) for item in islice(queue, depth - 2))
        while waiting:
            while not waiting[0].done and any(task.run_here() for task in waiting):
                pass  # the caller is one of the threads: it computes what none has begun
            result = waiting.popleft().result()
            waiting.extend(_Task(pool, function, item) for item in islice(queue, 1))
            yield result
    finally:
        for task in waiting:
            task.cancel()


class _Task(Generic[Item, Result]):
    """One call, made by a thread of the pool or by the one that waits for it."""

    def __init__(
        self, pool: ThreadPoolExecutor, function: Callable[[Item], Result], item: Item
    ) -> None:
        self._call: Callable[[], Result] = lambda: function(item)
        self._future: Future[Result] = pool.submit(function, item)

    @property
    def done(self) -> bool:
        return self._future.done()

    def run_here(self) -> bool:
        """Makes the call in this thread if no other has begun; says whether it did."""
        if self._future.done() or not self._future.cancel():
            return False
        self._future = Future()
        try:
            self._future.set_result(self._call())
        except Exception as error:  # noqa: BLE001 - rises where the result is asked for, in order
            self._future.set_exception(error)
        return True

    def cancel(self) -> None:
        self._future.cancel()

    def result(self) -> Result:
        return self._future.result()


@lru_cache(maxsize=8)
def _pool(process: int, num_threads: int) -> ThreadPoolExecutor:
    del process  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(num_threads, thread_name_prefix="probefusion")
