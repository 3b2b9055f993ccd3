"""What processes that train together share in every step: gradients, losses, and the statistics of BatchNorm."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from probefusion.training.parallel import Workers

__all__ = ["average_gradients", "sum_over_workers", "synchronise_batch_norm"]


def average_gradients(network: nn.Module, losses: Tensor, workers: Workers) -> Tensor:
    """Replaces every gradient by its mean over the processes, in one message.

    Args:
        network: After the backward pass.
        losses: (L,) losses of this process's part of the batch.
        workers: The processes; with one nothing changes.

    Returns:
        (L,) mean of the losses over the processes.
    """
    if workers.world_size == 1:
        return losses
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    parts = [*gradients, losses]
    flat = torch.cat([part.flatten() for part in parts])
    dist.all_reduce(flat)
    flat /= workers.world_size
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
    return flat[start:]


def sum_over_workers(values: Tensor, workers: Workers) -> Tensor:
    """The sum over the processes; with one the values themselves."""
    if workers.world_size > 1:
        dist.all_reduce(values)
    return values


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


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients flow back to all of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Sums."""
        del ctx
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Sums what all processes ask of the sum."""
        del ctx
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _sum_with_gradient(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total


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
        total = _sum_with_gradient(torch.cat([count, input.sum(dim=0), (input * input).sum(dim=0)]))
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
