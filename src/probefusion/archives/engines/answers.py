"""What workers of every engine do with a task, and how what came out of it, or what it raised, arrives as it was."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probefusion.errors import WorkerError, in_one_line

__all__ = ["MOST_DEATHS", "Answer", "TaskRunner", "died_too_often", "outcome_of"]

MOST_DEATHS = 3
"""A task that as many workers died at is given to no other."""
_LONGEST_TASK = 200


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a task.

    Attributes:
        outcome: What came out of it, pickled, where nothing was raised.
        error: What was raised.
        told: Where it was raised, as Python shows it.
    """

    outcome: bytes = b""
    error: Exception | None = None
    told: str = ""


class _RaisedInWorker(Exception):  # noqa: N818 - nobody catches it: it shows where an error came from
    """Shows the traceback of the worker above that of the error."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class TaskRunner:
    """Does tasks in a worker; the work that they belong to is opened once."""

    def __init__(self) -> None:
        self._pickled: bytes | None = None
        self._call: Callable[[Any], Any] | None = None

    def answer(self, work: bytes | None, task: bytes) -> Answer:
        """Does a task.

        Args:
            work: Its `Work`, pickled; None for that of the task before.
            task: The task, pickled.
        """
        try:
            call = self._opened(self._pickled if work is None else work)
            return Answer(outcome=pickle.dumps(call(pickle.loads(task))))
        except Exception as error:  # noqa: BLE001 - rises where the outcome is asked for
            return Answer(error=_that_travels(error), told=traceback.format_exc())

    def _opened(self, pickled: bytes | None) -> Callable[[Any], Any]:
        if self._call is not None and pickled == self._pickled:
            return self._call
        self._call = None  # what the work before holds open goes first
        self._pickled = pickled
        try:
            work = pickle.loads(pickled or b"")
        except (ImportError, AttributeError) as error:
            raise WorkerError(
                f"the workers cannot import what they shall do ({error}). Install the same probefusion, and what "
                f"your own code is in, where they run; code of a script itself runs with --workers 1 only."
            ) from error
        call: Callable[[Any], Any] = work.open()
        self._call = call
        return call


def outcome_of(answer: Answer) -> Any:
    """What came out of a task.

    Raises:
        Exception: What the task raised.
    """
    if answer.error is not None:
        raise answer.error from _RaisedInWorker(answer.told)
    return pickle.loads(answer.outcome)


def died_too_often(task: object, reason: str) -> WorkerError:
    """The error for a task that workers died at again and again.

    Args:
        task: The task.
        reason: How the last one ended.
    """
    text = in_one_line(repr(task))
    named = text if len(text) <= _LONGEST_TASK else f"{text[:_LONGEST_TASK]}..."
    return WorkerError(
        f"{MOST_DEATHS} workers died at the task {named} (the last one: {reason}). Where memory ran out, use fewer "
        f"workers (--workers); otherwise look at the files that it names. A rerun goes on from what is finished."
    )


def _that_travels(error: Exception) -> Exception:
    """The error, or one that says the same where it cannot be taken to another process."""
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever a foreign error's own pickling raises
        again = None
    if type(again) is type(error):
        return error
    return WorkerError(f"{type(error).__name__}: {in_one_line(str(error))}")
