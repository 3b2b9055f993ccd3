"""What an evaluation could not measure, and why, in words with counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from probefusion.evaluation.degraded_folder import FolderEvaluation
from probefusion.evaluation.licensed import BenchmarkResult
from probefusion.metrics import TarAtFar

__all__ = ["benchmark_limits", "folder_limits"]

_FEW_PEOPLE = 30
"""Fewer probe people than these make intervals that mean little."""


def folder_limits(result: FolderEvaluation) -> tuple[str, ...]:
    """What a degraded-folder evaluation leaves open.

    Args:
        result: What `evaluate_folder` gave.
    """
    others = result.num_gallery - 1
    comparisons = (
        f"{result.num_probe_sets:,} probe sets, each compared with {others:,} other people"
    )
    found = _rates(result.points[0].verification, comparisons)
    planned, compared = result.plan.decision_rate, result.compared_rate
    if compared != planned:
        found.append(
            f"Fusers are compared at FAR {compared:g}, the strictest that can be measured here, in place "
            f"of {planned:g}."
        )
    open_rates = [
        rate
        for rate, entry in zip(result.plan.false_positive_rates, result.points[0].tpir, strict=True)
        if not entry.resolved
    ]
    if open_rates:
        found.append(
            f"TPIR at FPIR {_listed(open_rates)}: {result.num_probe_sets:,} searches; FPIR "
            f"{min(open_rates):g} needs {_needed(min(open_rates)):,}. Give more people or probe sets."
        )
    if result.num_people < _FEW_PEOPLE:
        who = "1 person" if result.num_people == 1 else f"{result.num_people} people"
        found.append(
            f"Intervals and differences: they are drawn over {who} with probe sets, too few to say "
            f"how other people would fare; {_FEW_PEOPLE} or more make them meaningful."
        )
    return tuple(found)


def benchmark_limits(results: Sequence[BenchmarkResult]) -> tuple[str, ...]:
    """What the evaluation of a benchmark leaves open.

    Args:
        results: What `evaluate_benchmark` gave.
    """
    first = results[0]
    found = _rates(first.verification, "the pairs of the benchmark") if first.verification else []
    for search in first.searches:
        rates = [entry.target for entry in search.tpir if not entry.resolved]
        if rates:
            found.append(
                f"TPIR at FPIR {_listed(rates)} of {search.search}, {search.gallery}: "
                f"{search.cmc.num_non_mated:,} searches of people who are not enrolled; FPIR "
                f"{min(rates):g} needs {_needed(min(rates)):,}."
            )
    return tuple(found)


def _rates(verification: Sequence[TarAtFar], comparisons: str) -> list[str]:
    unresolved = [rate.target for rate in verification if not rate.resolved]
    if not unresolved:
        return []
    smallest = min(unresolved)
    return [
        f"TAR at FAR {_listed(unresolved)}: {verification[0].num_non_mated:,} comparisons of different "
        f"people ({comparisons}); FAR {smallest:g} needs {_needed(smallest):,}, one false accept at "
        f"least. Tables without any figure are left out."
    ]


def _needed(rate: float) -> int:
    return math.ceil(round(1 / rate, 6))


def _listed(rates: Iterable[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted(rates))
