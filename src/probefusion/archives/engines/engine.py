"""What an engine is: it runs independent tasks, each of which writes a file, and knows nothing of what they do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ["Engine", "Work"]

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
TaskIn = TypeVar("TaskIn", contravariant=True)
OutcomeOut = TypeVar("OutcomeOut", covariant=True)


class Work(Protocol, Generic[TaskIn, OutcomeOut]):
    """What is done with every task; it travels to the workers by pickle, so it holds names and settings only."""

    def open(self) -> Callable[[TaskIn], OutcomeOut]:
        """Called once in each worker: opens networks and files, and gives what does one task.

        A task may be done twice, as its worker may have died: what it writes must appear at once and whole, and be
        the same each time.
        Other workers use the other cores: networks are opened with one thread (`num_threads=1`), and nothing here
        starts threads or processes of its own.
        """
        ...


class Engine(ABC):
    """Runs tasks, each in one of several workers.

    Attributes:
        name: "local", "ray" or "dask".
        num_workers: Workers that run at the same time.
    """

    name: str
    num_workers: int

    @abstractmethod
    def run(
        self, work: Work[Task, Outcome], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome]]:
        """Does all tasks, in any order.

        A task whose worker died is given to another one, a few times.

        Args:
            work: What to do.
            tasks: What to do it with; small, they travel by pickle.

        Yields:
            The place of a task and what came out of it, as each ends.

        Raises:
            ProbeFusionError: What a task raised; the tasks that run then are ended, none is begun.
            WorkerError: If workers died again and again at the same task; the message names it.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of workers and connections; nothing of a cluster that was there before is ended."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
