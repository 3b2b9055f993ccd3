"""The two-layer perceptron that every box of CAFace is built from."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """Linear, exact GELU, Linear, on the last axis.

    Args:
        inputs: Length of the last axis on the way in.
        hidden: Length between the two layers.
        outputs: Length of the last axis on the way out.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, values: Tensor) -> Tensor:
        """Maps (..., inputs) to (..., outputs)."""
        return self.fc2(self.act(self.fc1(values)))
