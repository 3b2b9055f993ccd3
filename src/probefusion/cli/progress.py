"""Progress on standard error: a bar on a terminal, a line now and then otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probefusion.cli.streams import terminal

__all__ = ["Rate", "progress_bar"]

_SECONDS_BETWEEN_LINES = 10.0

_LEAST_SECONDS = 1.0
"""Time that must have passed before a rate is told: less says nothing."""


@contextmanager
def progress_bar(title: str, *, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function to be called with (done, in all or None where that is not known).

    The last line, with the rate of the whole, comes when the work is left without an error: what is
    counted as done may still be worked on until then.

    Args:
        title: What is being done.
        unit: What is counted, in the plural.
    """
    if not sys.stderr.isatty():
        lines = _Lines(title, unit)
        yield lines
        lines.finish()
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
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=terminal(sys.stderr))) as bar:
        task = bar.add_task(title, total=None, rate="", visible=False)
        rate = Rate()

        def update(done: int, total: int | None) -> None:
            text = _rate_text(rate.at(done), unit)
            bar.update(task, completed=done, total=total, rate=text, visible=True)

        yield update
        bar.update(task, rate=_rate_text(rate.last(), unit))


class Rate:
    """Units per second of work. What was given at once at the start, as by a cache, does not count.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._before = 0
        self._done = 0
        self._is_new = True

    def at(self, done: int) -> float | None:
        """Takes note of how many are done; the rate, or None where it is too early to tell."""
        if done < self._done:  # the work began anew
            self._start, self._before = self._clock(), done
        if self._is_new and done > 1 and self._clock() - self._start < _LEAST_SECONDS:
            self._start, self._before = self._clock(), done
        self._is_new = False
        self._done = done
        return self.last()

    def last(self) -> float | None:
        """The rate now."""
        seconds, count = self._clock() - self._start, self._done - self._before
        return count / seconds if seconds >= _LEAST_SECONDS and count > 0 else None


class _Lines:
    """Prints a line every ten seconds and at the end."""

    def __init__(self, title: str, unit: str) -> None:
        self._title = title
        self._unit = unit
        self._rate = Rate()
        self._last_time = time.monotonic()
        self._last: tuple[int, int | None] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        self._last = (done, total)
        rate = self._rate.at(done)
        now = time.monotonic()
        if now - self._last_time >= _SECONDS_BETWEEN_LINES:
            self._last_time = now
            left = ""
            if rate is not None and total is not None and done < total:
                left = f"{(total - done) / rate:.0f} s left"
            self._print(rate, left)

    def finish(self) -> None:
        """The last line, if anything was done."""
        if self._last is not None:
            self._print(self._rate.last(), "")

    def _print(self, rate: float | None, left: str) -> None:
        done, total = self._last or (0, None)
        done_of = f"{done}" if total is None else f"{done}/{total}"
        parts = [f"{self._title}: {done_of} {self._unit}", _rate_text(rate, self._unit), left]
        print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)


def _rate_text(rate: float | None, unit: str) -> str:
    return "" if rate is None else f"{rate:.1f} {unit}/s"
