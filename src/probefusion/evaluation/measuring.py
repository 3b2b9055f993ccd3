"""Rates, intervals over people and paired differences of scored probe sets, whatever the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.evaluation.scoring import ProbeScores, pool_scores, pool_searches
from probefusion.metrics import (
    BootstrapInterval,
    ComparisonScores,
    PairedDifference,
    TarAtFar,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    holm,
    tar_at_far,
)

__all__ = ["Measured", "RatePlan", "compared_rate", "holm_adjusted", "measured"]


@dataclass(frozen=True, kw_only=True)
class RatePlan:
    """At which rates fusers are measured and compared.

    Args:
        false_accept_rates: Targets of TAR at FAR.
        decision_rate: The one of them at which fusers are compared, if there are comparisons enough for it.
        false_positive_rates: Targets of TPIR at FPIR.
        num_replicates: Of the bootstrap over people.
        seed: Of the bootstrap.

    Raises:
        ConfigError: If `decision_rate` is not among the rates, or there are too few replicates.
    """

    false_accept_rates: tuple[float, ...]
    decision_rate: float
    false_positive_rates: tuple[float, ...]
    num_replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_replicates < 100:
            raise ConfigError(f"num_replicates: expected at least 100, got {self.num_replicates}.")
        if self.decision_rate not in self.false_accept_rates:
            raise ConfigError(
                f"decision_rate: expected one of {self.false_accept_rates}, got {self.decision_rate}."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What scores come to.

    Args:
        verification: TAR at each false accept rate, with counts.
        verification_intervals: The same with intervals over people.
        tpir: TPIR at each false positive identification rate. Non-mated searches: each probe set
            against the gallery without its own person.
        num_false_positives: Non-mated searches that return somebody at each of these thresholds; None where
            the rate is not resolved.
        rank1: Rank-1 rate with its interval.
        ranks: (P,) int64, rank of the own entry in each search.
        scores: Mated and non-mated similarities.
    """

    verification: tuple[TarAtFar, ...]
    verification_intervals: tuple[BootstrapInterval, ...]
    tpir: tuple[BootstrapInterval, ...]
    num_false_positives: tuple[int | None, ...]
    rank1: BootstrapInterval
    ranks: npt.NDArray[np.int64]
    scores: ComparisonScores


def measured(
    parts: Sequence[ProbeScores], plan: RatePlan, *, average_per_person: bool = False
) -> Measured:
    """Rates of the scores of one or several galleries, each with its own people, under one threshold.

    Args:
        parts: Scores of each gallery; a person of several is one person.
        plan: At which rates.
        average_per_person: Whether a person's probe sets are averaged first, where people have
            different numbers of them.

    Raises:
        EmptySetError: If there are none.
        InvalidInputError: If there are fewer than two people.
    """
    comparisons, searches = pool_scores(parts), pool_searches(parts)
    subjects = np.concatenate([part.subjects for part in parts])
    ranks = np.concatenate([part.ranks for part in parts])
    settings: dict[str, Any] = {
        "num_replicates": plan.num_replicates,
        "seed": plan.seed,
        "average_per_person": average_per_person,
    }
    people = np.unique(subjects, return_inverse=True)[1]
    return Measured(
        verification=tar_at_far(comparisons.mated, comparisons.non_mated, plan.false_accept_rates),
        verification_intervals=bootstrap_over_people(
            comparisons, plan.false_accept_rates, **settings
        ),
        tpir=bootstrap_over_people(searches, plan.false_positive_rates, **settings),
        num_false_positives=tuple(
            rate.num_false_accepts
            for rate in tar_at_far(searches.mated, searches.non_mated, plan.false_positive_rates)
        ),
        rank1=bootstrap_mean_over_people((ranks == 1).astype(np.float64), people, **settings),
        ranks=ranks,
        scores=comparisons,
    )


def compared_rate(verification: Sequence[TarAtFar], plan: RatePlan) -> float:
    """The planned rate, or the strictest rate above it that is resolved; the planned one if none is.

    It depends on how many comparisons there are, never on how a fuser does.
    """
    resolved = [rate.target for rate in verification if rate.resolved]
    return min(
        (rate for rate in resolved if rate >= plan.decision_rate), default=plan.decision_rate
    )


def holm_adjusted(differences: Sequence[PairedDifference]) -> list[float]:
    """The p-value of each difference, adjusted by Holm over all that are resolved; NaN for the others."""
    resolved = [paired.p_value for paired in differences if paired.resolved]
    adjusted = iter(holm(resolved).adjusted.tolist() if resolved else ())
    return [next(adjusted) if paired.resolved else float("nan") for paired in differences]
