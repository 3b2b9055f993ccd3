"""Works for the tests of engines: small enough to be done in no time, and misbehaving in every way that matters."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probefusion.errors import ShapeError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Line:
    """A task: a number to be squared, and what shall go wrong with it."""

    number: int
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Squares numbers; in `folder` every opening and every task that began leaves a file."""

    folder: str
    seconds: float = 0.0

    def open(self) -> Callable[[Line], tuple[int, int]]:
        """See `Work.open`."""
        Path(self.folder, f"opened-{os.getpid()}-{time.time_ns()}").touch()
        return self._square

    def _square(self, line: Line) -> tuple[int, int]:
        begun = len(list(Path(self.folder).glob(f"began-{line.number}-*")))
        Path(self.folder, f"began-{line.number}-{begun}").write_text(str(os.getpid()))
        if line.fault == "raises":
            raise ShapeError(f"line {line.number}: expected a rectangle, got a circle.")
        if line.fault == "raises of parts":
            raise UnknownNameError("shape", "circel", ["circle"])
        if line.fault == "raises foreign":
            raise _UnpicklableError(lambda: None)
        if line.fault == "unpicklable":
            return line.number, lambda: None  # type: ignore[return-value]
        if line.fault == "kills" or (line.fault == "kills once" and not begun):
            os.kill(os.getpid(), signal.SIGKILL)
        sys.stdout.write("a library that prints\n")
        time.sleep(self.seconds)
        return line.number**2, os.getpid()


class _UnpicklableError(Exception):
    """Cannot be taken to another process."""


@dataclass(frozen=True, kw_only=True)
class FailsToOpen:
    """A work that cannot be opened."""

    def open(self) -> Callable[[Line], int]:
        """See `Work.open`."""
        raise ShapeError("weights: expected (2, 2), got (3,).")
