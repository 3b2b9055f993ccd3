"""Threads that work on images side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import TypeVar

__all__ = ["available_threads", "map_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        num_threads: Threads to use, at least 1.
        ahead: Items under way or waiting to be taken; None for two per thread.
    """
    queue = iter(items)
    head = list(islice(queue, 2))
    if len(head) < 2 or (num_threads < 2 and ahead is None):
        yield from map(function, head)
        yield from map(function, queue)
        return
    pool = _pool(os.getpid(), num_threads)
    depth = max(2, 2 * num_threads if ahead is None else ahead)
    waiting = deque(pool.submit(function, item) for item in head)
    try:
        waiting.extend(pool.submit(function, item) for item in islice(queue, depth - 2))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(queue, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()


@lru_cache(maxsize=8)
def _pool(process: int, num_threads: int) -> ThreadPoolExecutor:
    del process  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(num_threads, thread_name_prefix="probefusion")
