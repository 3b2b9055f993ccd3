"""People kept apart from training, the best network by its loss on them, and when to stop."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from probefusion.errors import ConfigError
from probefusion.training.config import TrainingConfig
from probefusion.training.variant_store import VariantStore

__all__ = ["EarlyStopping", "split_for_validation"]


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


def split_for_validation(
    store: VariantStore, config: TrainingConfig
) -> tuple[VariantStore, VariantStore | None]:
    """The people to train on, and those kept apart; who is who depends on the name alone.

    Args:
        store: All people.
        config: With `validation_share`.

    Returns:
        Two stores; the second is None if nobody is kept apart.

    Raises:
        ConfigError: If either side would be empty.
    """
    if not config.validation_share:
        return store, None

    def place(name: str) -> float:
        digest = hashlib.sha256(f"validation|{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    kept = [name for name in store.subject_ids if place(name) < config.validation_share]
    if not 0 < len(kept) < len(store.subject_ids):
        raise ConfigError(
            f"validation_share: {config.validation_share} of {len(store.subject_ids)} people leaves "
            f"one side empty. Give more people, or 0 to train to the last step."
        )
    others = sorted(set(store.subject_ids) - set(kept))
    return store.of_people(others), store.of_people(kept)
