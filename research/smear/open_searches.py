"""Open-set searches of all draws together: TPIR at FPIR, with intervals over people.

The protocol. In each draw the people are parted at random into two halves. One half is enrolled: the searches by its
people are mated, those by the others are non-mated. Then the other half is enrolled. So every person searches once
as a mate and once as a stranger in each draw, in galleries of half of the people. The searches of all draws are put
together and have one threshold, as a product has: at FPIR f no more than f of all non-mated searches return anybody.
A mated search counts if it returns the right person at the top and at or above the threshold. Intervals: people
are drawn with replacement, with all their searches, and the threshold is found anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from probefusion.evaluation.measuring import holm_adjusted
from probefusion.metrics import (
    BootstrapInterval,
    ComparisonScores,
    PairedDifference,
    bootstrap_over_people,
    compare_over_people,
    search_outcomes,
    thresholds_at_far,
)
from research.smear.smear_sets import SmearSets, SmearSize, draw_halves
from research.smear.template_rules import TemplateRule

__all__ = [
    "RuleAtSize",
    "RuleDifference",
    "SmearPlan",
    "compare_rules",
    "measure_rules",
    "pooled_searches",
]


@dataclass(frozen=True, kw_only=True)
class SmearPlan:
    """What is measured.

    Args:
        sizes: Images that enrol and that search.
        rates: Targets of FPIR.
        decision_rate: The one of them at which rules are compared.
        reference: Name of the rule that all others are compared with.
        num_replicates: Of the bootstrap over people.
        seed: Of the bootstrap.
    """

    sizes: tuple[SmearSize, ...]
    rates: tuple[float, ...] = (0.1, 0.01)
    decision_rate: float = 0.01
    reference: str = "exact"
    num_replicates: int = 4000
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleAtSize:
    """One rule at one size.

    Args:
        rule: Its name.
        size: Images that enrol and that search.
        tpir: TPIR at each target with its interval.
        thresholds: The similarity that each target came to; NaN where it is not resolved.
        scores: The searches behind them.
    """

    rule: str
    size: SmearSize
    tpir: tuple[BootstrapInterval, ...]
    thresholds: tuple[float, ...]
    scores: ComparisonScores

    @property
    def rank1(self) -> float:
        """Share of the mated searches that return the right person first, whatever the similarity."""
        return float(np.isfinite(self.scores.mated).mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleDifference:
    """TPIR of the reference minus that of another rule, at the decision rate.

    Args:
        rule: The other rule.
        size: Images that enrol and that search.
        paired: The paired difference over people.
        adjusted_p_value: Holm-adjusted over all differences of the measurement; NaN if not resolved.
    """

    rule: str
    size: SmearSize
    paired: PairedDifference
    adjusted_p_value: float


def pooled_searches(sets: SmearSets, rule: TemplateRule, size: SmearSize) -> ComparisonScores:
    """All mated and non-mated searches of a rule at a size; TAR at FAR of them is TPIR at FPIR."""
    parts = []
    for draw in range(sets.num_draws):
        enrolled, probes = sets.rows_of(draw, size)
        similarities = rule.similarities(sets.images, enrolled, probes)
        first = draw_halves(len(sets.people), draw)
        for half in (first, ~first):
            found = search_outcomes(similarities[:, half], sets.people, sets.people[half])
            parts.append(found.as_comparison_scores(rank=1))
    return ComparisonScores.concatenate(parts)


def measure_rules(
    sets: SmearSets,
    rules: Sequence[TemplateRule],
    plan: SmearPlan,
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[RuleAtSize, ...]:
    """Every rule at every size, rule by rule.

    Args:
        sets: What enrols and searches.
        rules: The rules.
        plan: What to measure.
        progress: Called with a rule's name when it is done.
    """
    points = []
    for rule in rules:
        for size in plan.sizes:
            scores = pooled_searches(sets, rule, size)
            points.append(
                RuleAtSize(
                    rule=rule.name,
                    size=size,
                    tpir=bootstrap_over_people(
                        scores, plan.rates, num_replicates=plan.num_replicates, seed=plan.seed
                    ),
                    thresholds=tuple(
                        point.threshold for point in thresholds_at_far(scores.non_mated, plan.rates)
                    ),
                    scores=scores,
                )
            )
        if progress is not None:
            progress(rule.name)
    return tuple(points)


def compare_rules(points: Sequence[RuleAtSize], plan: SmearPlan) -> tuple[RuleDifference, ...]:
    """The reference against every other rule at every size, corrected together."""
    reference = {str(point.size): point for point in points if point.rule == plan.reference}
    others = [point for point in points if point.rule != plan.reference]
    paired = [
        compare_over_people(
            reference[str(point.size)].scores,
            point.scores,
            plan.decision_rate,
            num_replicates=plan.num_replicates,
            seed=plan.seed,
        )[0]
        for point in others
    ]
    return tuple(
        RuleDifference(
            rule=point.rule, size=point.size, paired=difference, adjusted_p_value=adjusted
        )
        for point, difference, adjusted in zip(others, paired, holm_adjusted(paired), strict=True)
    )
