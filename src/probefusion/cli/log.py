"""The package's log on standard error while a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from probefusion.cli.streams import plain

__all__ = ["log_to_stderr"]


class _Lines(logging.Handler):
    """Prints messages plainly, each in one line; warnings are marked. The stream of the moment is used."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        text = record.getMessage().replace("\n", "\\n")
        print(plain(f"{mark}{text}"), file=sys.stderr)


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Shows what the package notes in its log, from the choices it makes on."""
    log = logging.getLogger("probefusion")
    level, handler = log.level, _Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
