"""Training on several processes (`torchrun`): each takes its part of every batch.

The result is that of one process within rounding: gradients are averaged, and BatchNorm takes its
statistics over the whole batch. Only random depth and dropout draw differently.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from probefusion.errors import ConfigError

__all__ = ["Workers", "average_gradients", "join_workers", "synchronise_batch_norm"]

_PATIENCE = datetime.timedelta(hours=12)
"""How long the others wait while the first process embeds the images."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that train together.

    Args:
        rank: Number of this process, from 0.
        world_size: How many there are.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def part_of(self, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's rows of a batch.

        Raises:
            ConfigError: If the batch cannot be split evenly.
        """
        if len(batch) % self.world_size:
            raise ConfigError(
                f"batch_size: expected a multiple of the {self.world_size} processes, got "
                f"{len(batch)}."
            )
        size = len(batch) // self.world_size
        return batch[self.rank * size : (self.rank + 1) * size]

    def wait(self) -> None:
        """Waits until all processes have come here."""
        if self.world_size > 1:
            dist.barrier()

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
    if not dist.is_initialized():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", timeout=_PATIENCE
        )
    return Workers(rank=dist.get_rank(), world_size=dist.get_world_size())


def average_gradients(network: nn.Module, workers: Workers) -> None:
    """Replaces every gradient by its mean over the processes, in one message."""
    if workers.world_size == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= workers.world_size
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def synchronise_batch_norm(network: nn.Module, workers: Workers) -> None:
    """Makes every BatchNorm1d take its statistics over all processes, on any device.

    Args:
        network: Changed in place; parameters and buffers keep their names.
        workers: The processes; with one nothing changes.
    """
    if workers.world_size == 1:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d):
                setattr(module, name, _SharedBatchNorm(child))


class _SharedBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d over the rows of all processes; PyTorch's own needs a GPU."""

    def __init__(self, original: nn.BatchNorm1d) -> None:
        dtype = original.get_buffer("running_mean").dtype
        super().__init__(original.num_features, affine=original.affine, dtype=dtype)
        self.load_state_dict(original.state_dict())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Maps (N, features) to the same shape."""
        if not self.training:
            return super().forward(input)
        count = input.new_tensor([float(len(input))])
        total = all_reduce(torch.cat([count, input.sum(dim=0), (input * input).sum(dim=0)]))
        rows = total[0].detach()
        mean, square = (total[1:] / rows).chunk(2)
        variance = (square - mean * mean).clamp(min=0)
        with torch.no_grad():
            rate = 0.1 if self.momentum is None else self.momentum
            self.get_buffer("running_mean").lerp_(mean, rate)
            self.get_buffer("running_var").lerp_(variance * rows / (rows - 1), rate)
            self.get_buffer("num_batches_tracked").add_(1)
        normal = (input - mean) / torch.sqrt(variance + self.eps)
        return normal * self.weight + self.bias if self.affine else normal
