"""The process that does tasks for `probefusion.archives.engines.local`."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import IO

from probefusion.archives.engines.answers import TaskRunner

__all__ = ["main"]


def main() -> None:
    """Does what standard input brings: the paths to import from, then pairs of a work and a task."""
    source, target = _private_streams()
    messages: queue.SimpleQueue[tuple[bytes | None, bytes] | None] = queue.SimpleQueue()
    sys.path[:] = pickle.load(source)
    threading.Thread(target=_listen, args=(source, messages), daemon=True).start()
    runner = TaskRunner()
    with source, target:
        while (message := messages.get()) is not None:
            pickle.dump(runner.answer(*message), target)
            target.flush()


def _listen(
    source: IO[bytes], messages: queue.SimpleQueue[tuple[bytes | None, bytes] | None]
) -> None:
    """Takes messages; where the process that sends them is gone, this one ends at once, whatever it does."""
    while True:
        try:
            message = pickle.load(source)
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(1)
        messages.put(message)
        if message is None:
            return


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Input and output for messages alone: what libraries print goes to standard error."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, target
