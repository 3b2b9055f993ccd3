"""Keeps the best network by its loss on held-out people and tells when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

__all__ = ["EarlyStopping"]


@dataclass(kw_only=True)
class EarlyStopping:
    """The best network so far.

    Args:
        patience: Checks without a better loss after which to stop.

    Attributes:
        best_loss: Lowest loss so far.
        best_step: Step it was measured at.
        best: Parameters and buffers of that step, on the CPU.
        waited: Checks since.
    """

    patience: int
    best_loss: float = math.inf
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0

    def tell(self, step: int, loss: float, network: nn.Module) -> bool:
        """Takes a measured loss; True if training should stop.

        Args:
            step: Steps done.
            loss: Loss on held-out people; NaN counts as no better.
            network: The network it was measured with.
        """
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.waited = loss, step, 0
            self.best = {
                name: value.detach().cpu().clone() for name, value in network.state_dict().items()
            }
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, network: nn.Module) -> None:
        """Puts the best parameters back, if there are any."""
        if self.best:
            network.load_state_dict(self.best)

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and facts to be kept in a checkpoint."""
        tensors = {f"best.{name}": value for name, value in self.best.items()}
        facts = {
            "best_loss": repr(self.best_loss),
            "best_step": str(self.best_step),
            "waited": str(self.waited),
        }
        return tensors, facts

    def load(self, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
        """Takes up what `state` gave."""
        if "best_loss" in facts:
            self.best_loss = float(facts["best_loss"])
            self.best_step = int(facts["best_step"])
            self.waited = int(facts["waited"])
        prefix = "best."
        self.best = {
            name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
        }
