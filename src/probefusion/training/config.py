"""Settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from probefusion.errors import ConfigError
from probefusion.training.recipes import DEFAULT_RECIPE, find_recipe

__all__ = ["TrainingConfig"]

_WARM_UP_STEPS = 30
_LAST_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What determines a training run, together with the variant store.

    `TrainingConfig.official()` gives the published recipe. The defaults differ from it: variants with
    surveillance degradations, sets of which most images are bad, single images among the prefix
    lengths, a margin softmax beside the centre loss, a cosine schedule, and fewer people a step.

    Args:
        architecture: One of `probefusion.nn.architectures.ARCHITECTURES`.
        network: Settings of the architecture beside `dim` and `style_channels`.
        steps: Optimiser steps.
        batch_size: B, people in a step.
        group_size: K, embeddings in each of the two groups of a sample.
        prefixes: Set sizes the losses look at, each at most `group_size`.
        recipe: Name of the augmentation recipe, `probefusion.training.recipes`.
        bad_share: Share of badly degraded images in the sets, see `SetSampler`; None draws all
            variants alike.
        learning_rate: Highest learning rate of AdamW.
        milestones: Fractions of the steps after which it is multiplied by 0.1; empty for half a
            cosine down to a hundredth, after a linear rise over the first 30 steps.
        margin_weight: Weight of the margin softmax against all class centres; 0 leaves it out.
        margin: Its margin.
        scale: Its factor of the cosines.
        weight_decay: On all parameters, biases and gates too.
        memory_weight: Weight of the memory loss; it is zero by construction for exact fusers.
        memory_divided_by_batch: Whether that loss is divided by B once more, as officially.
        validation_share: Share of the people kept from training to stop early by their loss; 0 trains
            to the last step.
        check_every: Steps between two looks at them.
        patience: Looks without a better loss after which to stop.
        seed: Of the first parameters, the draws of the sampler and stochastic depth.

    Raises:
        ConfigError: If a value is out of range.

    Source: the official training recipe (Kim et al. 2022).
    """

    architecture: str = "exact"
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 800
    batch_size: int = 128
    group_size: int = 16
    prefixes: tuple[int, ...] = (1, 2, 4, 8, 16)
    recipe: str = DEFAULT_RECIPE
    bad_share: float | None = 0.85
    learning_rate: float = 1e-3
    milestones: tuple[float, ...] = ()
    margin_weight: float = 0.2
    margin: float = 0.1
    scale: float = 24.0
    weight_decay: float = 5e-4
    memory_weight: float = 1.0
    memory_divided_by_batch: bool = True
    validation_share: float = 0.0
    check_every: int = 50
    patience: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "group_size", "check_every", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}.")
        if self.group_size < 2:
            raise ConfigError(f"group_size: expected at least 2, got {self.group_size}.")
        object.__setattr__(self, "prefixes", tuple(self.prefixes))
        if not self.prefixes or not all(1 <= size <= self.group_size for size in self.prefixes):
            raise ConfigError(
                f"prefixes: expected set sizes from 1 to group_size ({self.group_size}), got "
                f"{self.prefixes}."
            )
        if self.bad_share is not None:
            if not 0 <= self.bad_share <= 1:
                raise ConfigError(f"bad_share: expected a fraction, got {self.bad_share}.")
            if not find_recipe(self.recipe).num_severe:
                raise ConfigError(
                    f"bad_share: the recipe {self.recipe!r} does not tell bad variants from others. "
                    f"Leave bad_share out or take {DEFAULT_RECIPE!r}."
                )
        for name in ("learning_rate", "weight_decay", "memory_weight", "margin_weight"):
            if not 0 <= getattr(self, name) < 100:
                raise ConfigError(f"{name}: expected 0 or more, got {getattr(self, name)}.")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(
                f"validation_share: expected a fraction below 1, got {self.validation_share}."
            )
        if any(not 0 < fraction < 1 for fraction in self.milestones):
            raise ConfigError(
                f"milestones: expected fractions between 0 and 1, got {self.milestones}."
            )

    @classmethod
    def official(cls, **changes: Any) -> TrainingConfig:
        """The published recipe, 128 people a step instead of 512, with changes.

        Source: Kim et al. 2022 and the official training code.
        """
        settings: dict[str, Any] = {
            "architecture": "official",
            "prefixes": (2, 4, 6, 8, 10, 12, 14, 16),
            "recipe": "official-16",
            "bad_share": None,
            "milestones": (0.6, 0.9),
            "margin_weight": 0.0,
        }
        return cls(**{**settings, **changes})

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        if self.milestones:
            passed = sum(step >= fraction * self.steps for fraction in self.milestones)
            return float(self.learning_rate * 0.1**passed)
        rise = min(1.0, (step + 1) / _WARM_UP_STEPS)
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * rise * (_LAST_SHARE + (1 - _LAST_SHARE) * fall)
