"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from probefusion.errors import ConfigError

__all__ = ["TrainingConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What determines a training run, together with the variant store.

    The defaults are the official recipe but for the batch, which is 128 instead of 512 people, since
    most folders hold fewer people, and the length, which is given in steps.

    Args:
        architecture: "official" or "exact".
        network: Settings of the architecture beside `dim` and `style_channels`.
        steps: Optimiser steps.
        batch_size: B, people in a step.
        group_size: K, embeddings in each of the two groups of a sample.
        learning_rate: First learning rate of AdamW.
        milestones: Fractions of the steps after which it is multiplied by 0.1.
        weight_decay: On all parameters, biases and gates too.
        memory_weight: Weight of the memory loss; it is zero by construction for exact fusers.
        memory_divided_by_batch: Whether that loss is divided by B once more, as officially.
        seed: Of the first parameters, the draws of the sampler and stochastic depth.

    Raises:
        ConfigError: If a value is out of range.

    Source: the official training recipe (Kim et al. 2022).
    """

    architecture: str = "exact"
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 1500
    batch_size: int = 128
    group_size: int = 16
    learning_rate: float = 1e-3
    milestones: tuple[float, ...] = (0.6, 0.9)
    weight_decay: float = 5e-4
    memory_weight: float = 1.0
    memory_divided_by_batch: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "group_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}.")
        if self.group_size < 2:
            raise ConfigError(f"group_size: expected at least 2, got {self.group_size}.")
        for name in ("learning_rate", "weight_decay", "memory_weight"):
            if not 0 <= getattr(self, name) < 100:
                raise ConfigError(f"{name}: expected 0 or more, got {getattr(self, name)}.")
        if any(not 0 < fraction < 1 for fraction in self.milestones):
            raise ConfigError(
                f"milestones: expected fractions between 0 and 1, got {self.milestones}."
            )

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Set sizes the centre loss looks at: 2, 4, ... up to the group size."""
        return tuple(range(2, self.group_size + 1, 2))

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        passed = sum(step >= fraction * self.steps for fraction in self.milestones)
        return float(self.learning_rate * 0.1**passed)
