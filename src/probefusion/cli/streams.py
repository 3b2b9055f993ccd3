"""What a command prints on: whole streams, characters that fit, nothing that a terminal obeys."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["plain", "safe_streams", "terminal"]

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and those that turn the direction of writing."""


_NAMES = {"stdout": "standard output", "stderr": "standard error"}


def plain(text: str) -> str:
    """The text with control characters written out: names of files may hold them."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _Plain:
    """A text stream on which everything is printed plainly, and which says its name where it cannot be written.

    What follows a failure leads nowhere, so that it is told once. A failure that the caller of `write`
    passed over, as argparse does, comes again at the next `flush`.

    Attributes:
        stream: The stream itself, for what draws on a terminal on purpose.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self.stream = stream
        self._name = name
        self._failure: OSError | None = None

    def write(self, text: str) -> int:
        with self._named():
            self.stream.write(plain(text))
        return len(text)

    def flush(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        with self._named():
            self.stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Says of an error of writing which stream it is; that the reader went away is no such error."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):  # not where a test or notebook has it
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)
            reason = (error.strerror or str(error)).lower()
            self._failure = OSError(
                f"{self._name} cannot be written: {reason}. Make room there, or send it elsewhere."
            )
            raise self._failure from error

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def terminal(stream: Any) -> Any:
    """The stream under one that prints plainly, for a progress bar."""
    return stream.stream if isinstance(stream, _Plain) else stream


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Makes standard output and error fit to be printed on inside the block.

    Closed ones lead nowhere: otherwise the next file that is opened, perhaps the result, would take
    their place and get what is printed. Characters that their encoding lacks are written out.
    """
    before = sys.stdout, sys.stderr
    _fill_closed()
    with contextlib.ExitStack() as stack:
        for name in _NAMES:
            stream: Any = getattr(sys, name)
            if stream is None:
                stream = stack.enter_context(
                    open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it is no path
                )
            elif hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, _Plain(stream, _NAMES[name]))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _fill_closed() -> None:
    """Gives standard input, output and error to the null device where they are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            if opened != number:
                os.close(opened)
