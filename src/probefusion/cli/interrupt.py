"""What Ctrl-C and SIGTERM do to a command: the one place that touches signal handlers."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "interruption", "sigterm_as_interrupt"]


class Interruption:
    """Whether a command was asked to stop; ask it between two steps of the work.

    Args:
        promise: What becomes of the work when it is stopped, for the line that is printed.
        is_patient: Whether the first signal waits for the answer. While it is False (models are being
            loaded, nothing is there to be finished) the first signal ends the command at once.

    Attributes:
        is_patient: As above; may be set at any time.
    """

    def __init__(self, promise: str, *, is_patient: bool = True) -> None:
        self.is_patient = is_patient
        self._promise = promise
        self._is_asked = False

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self._is_asked

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: the first asks, the second ends.

        Raises:
            KeyboardInterrupt: For the second signal, and for the first while nothing waits for it.
        """
        del number, frame
        if self._is_asked or not self.is_patient:
            raise KeyboardInterrupt
        self._is_asked = True
        print(f"stopping; {self._promise} (again: at once)", file=sys.stderr)


@contextmanager
def interruption(promise: str, *, is_patient: bool = True) -> Iterator[Interruption]:
    """Turns the first Ctrl-C or SIGTERM into a question; the second ends at once.

    Outside the main thread, where no signal arrives, nothing is changed and the answer stays False.

    Args:
        promise: What becomes of the work, as "what was read is finished".
        is_patient: As for `Interruption`.

    Example:
        >>> with interruption("what was read is finished") as stop:
        ...     stop()
        False
    """
    stop = Interruption(promise, is_patient=is_patient)
    with _handled((signal.SIGINT, signal.SIGTERM), stop.handle):
        yield stop


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does, cleanly; does nothing outside the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    with _handled((signal.SIGTERM,), interrupt):
        yield


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Has signals handled, and gives them back to whom they were handled by."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in previous.items():
            # None: not set by Python, which cannot give it back
            signal.signal(number, signal.SIG_DFL if old is None else old)
