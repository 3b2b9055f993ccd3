"""Cross-fitted comparison: each fold is tested with the fuser that never saw it, results pooled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probefusion.errors import ConfigError, ShapeError
from probefusion.evaluation.scoring import ProbeScores, pool_scores
from probefusion.metrics import (
    BootstrapInterval,
    ComparisonScores,
    PairedDifference,
    TarAtFar,
    average_differences,
    bootstrap_over_people,
    compare_over_people,
    holm,
    non_inferiority,
    tar_at_far,
)

__all__ = [
    "CrossFitPlan",
    "PairedVerdict",
    "PooledResult",
    "compare_pooled",
    "judge",
    "summarise",
]

_ALPHA = 0.05
"""Level of "no difference"; half of it, one-sided, is that of "worse by the margin or more"."""


@dataclass(frozen=True, kw_only=True)
class CrossFitPlan:
    """What is measured.

    Args:
        set_sizes: Images in a probe set.
        false_accept_rates: Targets of TAR at FAR.
        decision_rate: The one at which fusers are compared.
        num_replicates: Of the bootstrap over people; the smallest p-value is 2 / (this + 1), which
            times the number of tests must stay below .05 for Holm's correction to decide anything.
        margin: The largest loss that does not matter, for non-inferiority.
        seed: Of the bootstrap.
    """

    set_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    false_accept_rates: tuple[float, ...] = (1e-5, 1e-4, 1e-3)
    decision_rate: float = 1e-4
    num_replicates: int = 4000
    margin: float = 0.005
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledResult:
    """One fuser at one set size, all folds together; means over training seeds.

    Args:
        tar: TAR at each false accept rate, mean over seeds.
        interval: Interval over people of the TAR at the decision rate, first seed.
        by_seed: TAR at the decision rate of each seed.
        rank1: Rank-1 rate, mean over seeds.
        num_false_accepts: At the smallest false accept rate, first seed; None if unresolved.
    """

    tar: dict[float, float]
    interval: BootstrapInterval
    by_seed: tuple[float, ...]
    rank1: float
    num_false_accepts: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedVerdict:
    """First fuser minus second at one set size.

    Args:
        num_images: Images in each probe set.
        paired: The difference, replicates averaged over training seeds.
        adjusted_p_value: Of "no difference", Holm over the family.
        non_inferiority_p_value: Of "worse by the margin or more", Holm over the family.
        is_better: Difference above 0 and adjusted p-value at most .05.
        is_worse: The same below 0.
        is_non_inferior: Adjusted non-inferiority p-value at most .025.
    """

    num_images: int
    paired: PairedDifference
    adjusted_p_value: float
    non_inferiority_p_value: float
    is_better: bool
    is_worse: bool
    is_non_inferior: bool


def summarise(seeds: Sequence[Sequence[ProbeScores]], plan: CrossFitPlan) -> PooledResult:
    """Rates of one fuser at one set size.

    Args:
        seeds: For each training seed the scores of all folds.
        plan: What is measured.
    """
    pooled = [pool_scores(folds) for folds in seeds]
    rates: list[tuple[TarAtFar, ...]] = [
        tar_at_far(scores.mated, scores.non_mated, plan.false_accept_rates) for scores in pooled
    ]
    decision = plan.false_accept_rates.index(plan.decision_rate)
    (interval,) = bootstrap_over_people(
        pooled[0], [plan.decision_rate], num_replicates=plan.num_replicates, seed=plan.seed
    )
    return PooledResult(
        tar={
            target: float(np.mean([found[index].tar for found in rates]))
            for index, target in enumerate(plan.false_accept_rates)
        },
        interval=interval,
        by_seed=tuple(float(found[decision].tar) for found in rates),
        rank1=float(np.mean([fold.rank1 for folds in seeds for fold in folds])),
        num_false_accepts=rates[0][0].num_false_accepts,
    )


def compare_pooled(
    first: dict[int, Sequence[ComparisonScores]],
    second: dict[int, Sequence[ComparisonScores]],
    plan: CrossFitPlan,
) -> tuple[PairedDifference, ...]:
    """First fuser minus second at the decision rate, paired over people, one per set size.

    Training seeds are averaged: each seed of the first is compared with the same seed of the second,
    or with its only one.

    Args:
        first: By set size, for each training seed the scores of all folds, pooled.
        second: The same of the other fuser, with as many seeds or one.
        plan: What is measured.

    Raises:
        ShapeError: If the numbers of seeds do not fit.
    """
    found = []
    for size in plan.set_sizes:
        ours, theirs = first[size], second[size]
        if len(theirs) not in (1, len(ours)):
            raise ShapeError(
                f"second: expected 1 or {len(ours)} training seeds, as many as first has, got "
                f"{len(theirs)}."
            )
        others = list(theirs) * (len(ours) if len(theirs) == 1 else 1)
        found.append(
            average_differences(
                [
                    compare_over_people(
                        mine,
                        other,
                        plan.decision_rate,
                        num_replicates=plan.num_replicates,
                        seed=plan.seed,
                    )[0]
                    for mine, other in zip(ours, others, strict=True)
                ]
            )
        )
    return tuple(found)


def judge(
    families: dict[str, tuple[PairedDifference, ...]], plan: CrossFitPlan
) -> dict[str, tuple[PairedVerdict, ...]]:
    """Verdicts on differences, corrected by Holm over all of them together.

    Args:
        families: By name of the other fuser, one difference per set size of the plan.
        plan: What was measured.

    Returns:
        The same names with verdicts. Two corrections: one over all tests of "no difference", one
        over all tests of "worse by the margin or more".

    Raises:
        ConfigError: If the replicates are too few for any of so many tests to be decided.
    """
    entries = [
        (name, size, paired)
        for name, differences in families.items()
        for size, paired in zip(plan.set_sizes, differences, strict=True)
    ]
    smallest = 2 * len(entries) / (plan.num_replicates + 1)
    if smallest > _ALPHA:
        raise ConfigError(
            f"num_replicates: {plan.num_replicates} decide none of {len(entries)} tests, whose smallest "
            f"adjusted p-value is {smallest:.3f} (Holm, {_ALPHA}). Use at least "
            f"{math.ceil(2 * len(entries) / _ALPHA)}."
        )
    different = holm([paired.p_value for _, _, paired in entries])
    inferior = holm(
        [non_inferiority(paired, margin=plan.margin).p_value for _, _, paired in entries],
        alpha=_ALPHA / 2,
    )
    verdicts: dict[str, list[PairedVerdict]] = {name: [] for name in families}
    for index, (name, size, paired) in enumerate(entries):
        certain = bool(different.is_rejected[index])
        verdicts[name].append(
            PairedVerdict(
                num_images=size,
                paired=paired,
                adjusted_p_value=float(different.adjusted[index]),
                non_inferiority_p_value=float(inferior.adjusted[index]),
                is_better=certain and paired.difference > 0,
                is_worse=certain and paired.difference < 0,
                is_non_inferior=bool(inferior.is_rejected[index]),
            )
        )
    return {name: tuple(found) for name, found in verdicts.items()}
