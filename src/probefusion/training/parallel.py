"""Training on several processes (`torchrun`): who they are, how they wait for each other, and how they end.

The result is that of one process within rounding: gradients are averaged, and BatchNorm takes its
statistics over the whole batch. Only random depth and dropout draw differently.
"""

from __future__ import annotations

import datetime
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from probefusion.errors import ConfigError, ProbeFusionError, WorkerError
from probefusion.workers import available_threads

__all__ = ["Workers", "ending_together", "join_workers", "threads_of_process"]

_PATIENCE = datetime.timedelta(minutes=30)
"""How long a process waits for the others within a step; before the first step it waits without limit."""

_LOOK_EVERY = 0.1
_LAST_WORDS = 5.0
"""Seconds that a process which fails waits for the others to have read why."""

_FAILURE = "failure"
_HEARD = "failure heard"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that train together.

    Args:
        rank: Number of this process, from 0.
        world_size: How many there are.
        board: What all of them read and write: the key-value store of `torchrun`; None for one process.
    """

    rank: int = 0
    world_size: int = 1
    board: Any = field(default=None, compare=False, repr=False)
    _counts: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def part_of(self, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's rows of a batch.

        Raises:
            ConfigError: If the batch cannot be split evenly.
        """
        self.check_batch_size(len(batch))
        size = len(batch) // self.world_size
        return batch[self.rank * size : (self.rank + 1) * size]

    def check_batch_size(self, size: int) -> None:
        """Refuses a batch that cannot be split evenly.

        Args:
            size: People in it.

        Raises:
            ConfigError: If it is no multiple of the number of processes.
        """
        if size % self.world_size:
            raise ConfigError(
                f"batch_size: expected a multiple of the {self.world_size} processes, got {size}. "
                f"Give one (--batch-size {max(1, size // self.world_size) * self.world_size})."
            )

    def add(self, name: str, number: int) -> int:
        """Adds to a number that all processes share, and gives the sum; no two get the same.

        Args:
            name: Of the number, which is 0 at first.
            number: What to add.
        """
        if self.board is None:
            self._counts[name] += number
            return self._counts[name]
        return int(self.board.add(name, number))

    def wait(self, name: str) -> None:
        """Waits until all processes have come here, however long it takes.

        Args:
            name: Of this place, used once in a run.

        Raises:
            WorkerError: If another process failed.
        """
        if self.board is None:
            return
        self.board.add(name, 1)
        while self.board.add(name, 0) < self.world_size:
            self.check_others()
            time.sleep(_LOOK_EVERY)

    def check_others(self) -> None:
        """Looks whether another process failed.

        Raises:
            WorkerError: If one did; says which and why.
        """
        if self.board is not None and self.board.check([_FAILURE]):
            rank, _, reason = self.board.get(_FAILURE).decode().partition(" ")
            if int(rank) != self.rank:
                self.board.add(_HEARD, 1)
                raise WorkerError(
                    f"stopped, because process {rank} of {self.world_size} (counted from 0) failed: {reason}"
                )

    def any_true(self, value: bool) -> bool:
        """Whether it is true in any process."""
        if self.world_size == 1:
            return value
        flag = torch.tensor([float(value)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())


def join_workers(device: str = "cpu") -> Workers:
    """Joins the processes that `torchrun` started, or stands alone without it.

    Args:
        device: "cpu" takes the gloo backend, "cuda" NCCL.
    """
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Workers()
    return _join("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")


@cache
def _join(backend: str) -> Workers:
    """Once in a process: PyTorch has one default group."""
    board, rank, world_size = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    dist.init_process_group(
        backend, store=board, rank=rank, world_size=world_size, timeout=_PATIENCE
    )
    return Workers(rank=rank, world_size=world_size, board=board)


@contextmanager
def ending_together(workers: Workers) -> Iterator[None]:
    """Has an error of one process end all of them, each with the reason.

    The process that fails tells the others why before it closes its connections. One that is killed cannot; the
    others then say that.

    Args:
        workers: The processes; with one nothing changes.

    Raises:
        WorkerError: In place of what the network says when another process failed.
    """
    try:
        yield
    except BaseException as error:
        if workers.board is None or isinstance(error, WorkerError):
            raise
        if isinstance(error, RuntimeError) and not isinstance(error, ProbeFusionError):
            _blame_others(workers, error)
        _tell(workers, error)
        raise


def _blame_others(workers: Workers, error: RuntimeError) -> None:
    """Raises what happened elsewhere, if this error is a lost connection."""
    is_lost = any(word in str(error) for word in ("onnection", "imed out"))
    if not is_lost and not isinstance(error, dist.DistError):
        return
    workers.check_others()  # whoever fails says why before the connections close
    raise WorkerError(
        f"stopped, because another of the {workers.world_size} processes ended without a word (killed, perhaps for "
        f"memory). The same command goes on from what is kept."
    ) from error


def _tell(workers: Workers, error: BaseException) -> None:
    reason = " ".join(str(error).split()) or type(error).__name__
    with suppress(RuntimeError):  # the first process is gone, and the board with it
        workers.board.compare_set(_FAILURE, "", f"{workers.rank} {reason}")
        if dist.is_initialized():
            dist.destroy_process_group()
        is_interrupted = not isinstance(error, Exception)  # as the others are, in all likelihood
        deadline = time.monotonic() + (0 if is_interrupted else _LAST_WORDS)
        while workers.board.add(_HEARD, 0) < workers.world_size - 1 and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)


def threads_of_process(threads: int | None) -> int | None:
    """Threads of this process: those asked for, or its share where `torchrun` started several on this machine.

    Args:
        threads: Asked for, or None.

    Returns:
        The number; None for all.
    """
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if threads is not None or local == 1:
        return threads
    return max(1, available_threads() // local)
