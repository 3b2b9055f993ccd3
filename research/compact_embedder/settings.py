"""Settings of the training of a compact embedder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from probefusion.errors import ConfigError

__all__ = ["DistillationSettings", "PoorTarget"]

PoorTarget = Literal["clean", "poor"]


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """Settings of the training.

    Args:
        steps: Optimiser steps in all. A longer training goes on from a shorter one: the rate is
            constant but for its warm-up and its end, and the end is only entered in the last
            `cooldown` of the steps.
        faces_per_step: Faces in a step.
        poor_share: Share of the faces that are seen degraded too; at least one is.
        poor_target: What the pupil is to make of a degraded face: the teacher's embedding of the
            face before (`"clean"`: a robust pupil, better than its teacher on single poor images) or
            of the very same degraded image (`"poor"`: a faithful pupil, whose poor embeddings keep
            what a fuser can tell apart).
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        warmup_steps: Steps in which the rate rises from 0.
        cooldown: Share of the steps, at the end, in which the rate falls to 0.
        chimera_share: Share of the faces that are put together from two people.
        map_weight: Weight of the comparison of maps.
        relation_weight: Weight of the comparison of similarities to the training people.
        seed: Of parameters and draws.

    Raises:
        ConfigError: If a value is out of range.
    """

    steps: int = 3000
    faces_per_step: int = 64
    poor_share: float = 0.5
    poor_target: PoorTarget = "clean"
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    cooldown: float = 0.25
    chimera_share: float = 0.5
    map_weight: float = 0.5
    relation_weight: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "faces_per_step"):
            if getattr(self, name) < 2:
                raise ConfigError(f"{name}: expected at least 2, got {getattr(self, name)}.")
        for name in ("cooldown", "chimera_share", "poor_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: expected from 0 to 1, got {getattr(self, name)}.")
        if self.poor_target not in get_args(PoorTarget):
            raise ConfigError(
                f"poor_target: expected {' or '.join(get_args(PoorTarget))}, got {self.poor_target!r}."
            )
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate: expected above 0, got {self.learning_rate}.")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cooling = max(1.0, self.cooldown * self.steps)
        return self.learning_rate * min(rising, 1.0, (self.steps - step) / cooling)
