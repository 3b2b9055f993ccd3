"""Progress on standard error: a bar on a terminal, a line now and then otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_bar(title: str, *, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function to be called with (done, in all or None where that is not known).

    Args:
        title: What is being done.
        unit: What is counted, in the plural.
    """
    if not sys.stderr.isatty():
        yield _Lines(title, unit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} " + unit + "/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, rate=0.0, visible=False)
        rate = _Rate()

        def update(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, rate=rate.at(done), visible=True)

        yield update


class _Rate:
    """Units per second since the first one was reported; what a cache gave at once does not count."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def at(self, done: int) -> float:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        start, before = self._first
        return (done - before) / max(now - start, 1e-3)


class _Lines:
    """Prints a line every ten seconds and at the end."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._rate = _Rate()
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        rate = self._rate.at(done)
        if done != total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = ""
        if rate > 0 and total is not None and done < total:
            left = f", {(total - done) / rate:.0f} s left"
        done_of = f"{done}" if total is None else f"{done}/{total}"
        print(
            f"{self._title}: {done_of} {self._unit}, {rate:.1f} {self._unit}/s{left}",
            file=sys.stderr,
            flush=True,
        )
