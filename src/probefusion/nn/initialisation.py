"""How parameters get their first values, reproducibly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ["init_linears", "seeded_init"]

_LINEAR_STD = 0.02


@contextmanager
def seeded_init(rng: np.random.Generator | None) -> Iterator[None]:
    """Runs the body with PyTorch's generator seeded from `rng`, and puts it back afterwards.

    Layers of PyTorch draw their first values from one global generator. Inside this context they
    draw from `rng` instead, so that equal generators give equal networks and nothing else in the
    process is disturbed.

    Args:
        rng: One number is drawn from it. None stands for `numpy.random.default_rng(0)`.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng.integers(2**63)))
        yield


def init_linears(module: nn.Module) -> None:
    """Sets every Linear below `module` to normal weights of std 0.02 and biases of 0.

    Args:
        module: Changed in place.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=_LINEAR_STD, a=-2.0, b=2.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
