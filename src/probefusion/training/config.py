"""Settings of a training: what determines the network, and what belongs to the run around it.

Light to import: the command lists its flags from these classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from probefusion.errors import ConfigError
from probefusion.settings import setting

__all__ = ["FINE_TUNING", "RunSettings", "TrainingConfig"]

_WARM_UP_STEPS = 30
_LAST_SHARE = 0.01
_LARGEST_BATCH = 128

_PEOPLE_TO_SPARE = 200
"""From so many training people on some are kept apart to stop early by."""

FINE_TUNING: Mapping[str, Any] = {"learning_rate": 3e-4}
"""Defaults that differ when a training goes on from a fuser.

Lower, so that a few people do not undo what many taught. The bundled exact fuser, trained on for 150
steps with 42 people of films, on 15 others (60 sets of 16 degraded images; differences below .1 are
noise): rank-1 .40 before, .40 at 1e-3, .50 at 3e-4; TAR at FAR 1e-2 .23 before, .20 at both.
"""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What determines a training run, together with the variant store.

    Every field is a flag of `probefusion train`, a key of its TOML file and a keyword of
    `probefusion.train`; its help text stands beside it. `TrainingConfig.official()` gives the
    published recipe. The defaults differ from it: variants with surveillance degradations, sets of
    which most images are bad, single images among the prefix lengths, a margin softmax beside the
    centre loss, a cosine schedule, and fewer people a step.

    Raises:
        ConfigError: If a value is out of range.

    Source: the official training recipe (Kim et al. 2022).
    """

    architecture: str = setting(
        "exact", help="exact, exact-fast, official, or one that a plugin registers", metavar="NAME"
    )
    network: dict[str, Any] = setting(  # noqa: RUF009 - the dictionary is copied
        {}, help="settings of the architecture, such as hidden=64"
    )
    recipe: str = setting(
        "surveillance-20",
        help="how images are augmented; official-16 takes all settings as published",
        choices=("surveillance-20", "official-16"),
    )
    steps: int = setting(800, help="optimiser steps")
    batch_size: int | None = setting(
        None, help="people in a step (default 128, or all if there are fewer)", metavar="B"
    )
    group_size: int = setting(
        16, help="images in each of the two groups of a person in a step", metavar="K"
    )
    prefixes: tuple[int, ...] = setting(
        (1, 2, 4, 8, 16), help="set sizes the losses look at, each at most the group size"
    )
    bad_share: float | None = setting(
        0.85,
        help="share of badly degraded images in half of the sets; none draws all variants alike",
        metavar="S",
    )
    learning_rate: float = setting(
        1e-3,
        help="highest learning rate of AdamW "
        f"(default 0.001; {FINE_TUNING['learning_rate']} when going on from a fuser)",
        metavar="LR",
    )
    milestones: tuple[float, ...] = setting(
        (),
        help="fractions of the steps after which the rate is multiplied by 0.1 (default: a linear rise "
        "over 30 steps, then half a cosine down to a hundredth)",
    )
    weight_decay: float = setting(5e-4, help="of AdamW, on all parameters")
    margin_weight: float = setting(
        0.2, help="weight of the margin softmax against all class centres; 0 leaves it out"
    )
    margin: float = setting(0.1, help="its margin, taken off the cosine to the own centre")
    scale: float = setting(24.0, help="its factor of the cosines")
    memory_weight: float = setting(
        1.0, help="weight of the memory loss, which is zero by construction for exact fusers"
    )
    memory_divided_by_batch: bool = setting(
        True, help="divide that loss by the batch size once more, as officially"
    )
    validation_share: float | None = setting(
        None,
        help="share of the training people kept apart to stop early by; 0 trains to the last step "
        "(default 0.1 from 200 people on, otherwise 0)",
        metavar="S",
    )
    check_every: int = setting(50, help="steps between two looks at them")
    patience: int = setting(6, help="looks without a better loss after which to stop")
    seed: int = setting(
        0, help="of the first parameters, the augmentation, the draws of sets and stochastic depth"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefixes", tuple(self.prefixes))
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name in ("steps", "batch_size", "group_size", "check_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: expected at least 1, got {value}.")
        if self.group_size < 2:
            raise ConfigError(f"group_size: expected at least 2, got {self.group_size}.")
        if self.seed < 0:
            raise ConfigError(f"seed: expected 0 or more, got {self.seed}.")
        if not self.prefixes or not all(1 <= size <= self.group_size for size in self.prefixes):
            raise ConfigError(
                f"prefixes: expected set sizes from 1 to group_size ({self.group_size}), got "
                f"{self.prefixes}."
            )
        self._check_bad_share()
        for name in ("learning_rate", "weight_decay", "memory_weight", "margin_weight", "scale"):
            if not 0 <= getattr(self, name) < 100:
                raise ConfigError(
                    f"{name}: expected 0 or more and below 100, got {getattr(self, name)}."
                )
        if not -1 <= self.margin <= 1:
            raise ConfigError(f"margin: expected a cosine from -1 to 1, got {self.margin}.")
        if self.validation_share is not None and not 0 <= self.validation_share < 1:
            raise ConfigError(
                f"validation_share: expected a fraction below 1, got {self.validation_share}."
            )
        if any(not 0 < fraction < 1 for fraction in self.milestones):
            raise ConfigError(
                f"milestones: expected fractions between 0 and 1, got {self.milestones}."
            )

    def _check_bad_share(self) -> None:
        from probefusion.training.recipes import DEFAULT_RECIPE, find_recipe

        recipe = find_recipe(self.recipe)
        if self.bad_share is None:
            return
        if not 0 <= self.bad_share <= 1:
            raise ConfigError(f"bad_share: expected a fraction, got {self.bad_share}.")
        if not recipe.num_severe:
            raise ConfigError(
                f"bad_share: the recipe {self.recipe!r} does not tell bad variants from others. "
                f"Leave bad_share out or take {DEFAULT_RECIPE!r}."
            )

    @classmethod
    def official(cls, **changes: Any) -> TrainingConfig:
        """The published recipe, 128 people a step instead of 512, with changes.

        Source: Kim et al. 2022 and the official training code.
        """
        return cls(**{"architecture": "official", **_PUBLISHED, **changes})

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TrainingConfig:
        """The settings given, and for all others the defaults of the recipe given.

        Args:
            given: Values by name; with the recipe "official-16" all others are as published, but for
                the architecture.

        Raises:
            ConfigError: If a value is out of range.
        """
        published = _PUBLISHED if given.get("recipe") == _PUBLISHED["recipe"] else {}
        return cls(**{**published, **given})

    def for_people(self, num_people: int) -> TrainingConfig:
        """With batch size and validation share decided for that many training people."""
        size, share = self.batch_size, self.validation_share
        return replace(
            self,
            batch_size=max(1, min(_LARGEST_BATCH, num_people)) if size is None else size,
            validation_share=(0.1 if num_people >= _PEOPLE_TO_SPARE else 0.0)
            if share is None
            else share,
        )

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0."""
        if self.milestones:
            passed = sum(step >= fraction * self.steps for fraction in self.milestones)
            return float(self.learning_rate * 0.1**passed)
        rise = min(1.0, (step + 1) / _WARM_UP_STEPS)
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * rise * (_LAST_SHARE + (1 - _LAST_SHARE) * fall)


_PUBLISHED: Mapping[str, Any] = {
    "prefixes": (2, 4, 6, 8, 10, 12, 14, 16),
    "recipe": "official-16",
    "bad_share": None,
    "milestones": (0.6, 0.9),
    "margin_weight": 0.0,
}


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What belongs to a training run beside the network that comes out of it.

    Every field is a flag, a TOML key and a keyword, as those of `TrainingConfig`.

    Raises:
        ConfigError: If a value is out of range.
    """

    folds: tuple[int, ...] = setting(
        (0, 1, 2), help="folds (0 to 3) of the people to train on; thresholds come from the rest"
    )
    without: tuple[str, ...] = setting(
        (),
        help="train a fuser for embeddings that come without style, or without their length too",
        choices=("style", "norm"),
    )
    name: str | None = setting(
        None, help="name of the fuser (default ARCHITECTURE.EMBEDDER-IMAGES.r1)", metavar="NAME"
    )
    licence: str = setting("unspecified", help="licence of the weights, for the card")
    report: str | None = setting(
        None, help="where the evaluation report goes (default OUTPUT.report)", metavar="DIR"
    )
    work: str | None = setting(
        None,
        help="where embedded variants and the checkpoint lie (default OUTPUT.work)",
        metavar="DIR",
    )
    device: str = setting("cpu", help="PyTorch device, cpu or cuda", metavar="NAME")
    threads: int | None = setting(None, help="threads to use (default all)")

    def __post_init__(self) -> None:
        from probefusion.protocols.degraded_folder import NUM_FOLDS

        object.__setattr__(self, "folds", tuple(self.folds))
        object.__setattr__(self, "without", tuple(self.without))
        if not self.folds or not set(self.folds) <= set(range(NUM_FOLDS)):
            raise ConfigError(
                f"folds: expected some of 0 to {NUM_FOLDS - 1} to train on, got {self.folds}."
            )
        if unknown := set(self.without) - {"style", "norm"}:
            raise ConfigError(
                f"without: expected style, norm or both, got {', '.join(sorted(unknown))}."
            )
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"threads: expected at least 1, got {self.threads}.")
