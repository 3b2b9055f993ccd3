"""Values squeezed smoothly into a range."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bounded"]


def bounded(values: Tensor, limit: float) -> Tensor:
    """Squeezes values into +-limit, with slope 1 at zero.

    Args:
        values: Any shape.
        limit: The bound, above 0.
    """
    return limit * torch.tanh(values / limit)
