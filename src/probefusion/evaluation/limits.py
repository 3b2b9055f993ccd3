"""What an evaluation could not measure, and why, in words with counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from probefusion.evaluation.degraded_folder import FolderEvaluation, FuserDifference
from probefusion.evaluation.licensed import BenchmarkResult
from probefusion.evaluation.media_results import (
    MediaColumn,
    MediaDifference,
    MediaEvaluation,
    MediaPoint,
)
from probefusion.metrics import TarAtFar
from probefusion.protocols.media_folder import MediaSplit

__all__ = ["benchmark_limits", "folder_limits", "media_limits", "repeated_limits"]

_SIGNIFICANT = 0.05
"""Family-wise level at which a difference is called one."""

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
    found += _few_replicates(result.differences, result.plan.num_replicates)
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


def media_limits(result: MediaEvaluation, split: MediaSplit) -> tuple[str, ...]:
    """What a media-folder evaluation leaves open, size class by size class.

    Args:
        result: What `evaluate_media` gave.
        split: Its gallery and probe sets.
    """
    found = []
    searched = int((split.num_media > 1).sum())
    pairs = searched * (result.num_gallery - 1)
    found.append(
        f"Replicates: {result.num_sets} galleries and sets of the same people. Comparisons are counted in "
        f"all of them together, but they are of at most {pairs:,} pairs of probe person and other "
        f"person: rates far below {1 / max(pairs, 1):.1g} rest on few pairs."
    )
    found += _few_replicates(result.differences, result.plan.num_replicates)
    for size_class in dict.fromkeys(column.size_class for column in result.columns):
        columns = [column for column in result.columns if column.size_class == size_class]
        found += _of_class(result, size_class, columns)
    return tuple(found)


def _few_replicates(
    differences: Sequence[FuserDifference] | Sequence[MediaDifference], num_replicates: int
) -> list[str]:
    """Whether the bootstrap is too coarse for so many differences: its least p-value is 2 / (R + 1)."""
    count = sum(difference.paired.resolved for difference in differences)
    needed = math.ceil(round(2 * count / _SIGNIFICANT, 6)) - 1
    if num_replicates >= needed:
        return []
    return [
        f"Differences: there are {count}, each from {num_replicates:,} replicates of the bootstrap. After "
        f"Holm's correction none can reach the level of .05. Give {needed:,} replicates or more "
        f"(--replicates), or fewer fusers, sizes or classes."
    ]


def repeated_limits(repeated: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What images that stand in several media mean.

    Args:
        repeated: The names of each, as `repeated_images` gives them.
    """
    if not repeated:
        return ()
    first = " and ".join(map(repr, repeated[0][:2]))
    number = "1 image is" if len(repeated) == 1 else f"{len(repeated)} images are"
    return (
        f"Images: {number} there byte for byte in several media or of several people, the first as {first}. A "
        f"probe may hold the gallery's own image. Keep one of each; report.json lists them.",
    )


def _of_class(
    result: MediaEvaluation, size_class: str, columns: Sequence[MediaColumn]
) -> list[str]:
    """What one size class leaves open; columns of one kind are named together."""
    found = []
    lacking = [column for column in columns if not column.is_measured]
    if lacking:
        found.append(
            f"Faces {size_class}, {_columns(lacking)}: fewer than two people have so many images whichever "
            f"medium is the gallery's; nothing can be said."
        )
    few = [column for column in columns if column.is_measured and column.num_people < _FEW_PEOPLE]
    if few:
        people = ", ".join(str(column.num_people) for column in few)
        found.append(
            f"Faces {size_class}, {_columns(few)}: {people} people with probe sets, too few to say how "
            f"other people would fare; {_FEW_PEOPLE} or more make intervals meaningful."
        )
    points = [
        point
        for column in columns
        if (point := result.point(result.fusers[0], size_class, column.num_images)) is not None
    ]
    found += _open_rates(size_class, points, "TAR at FAR")
    found += _open_rates(size_class, points, "TPIR at FPIR")
    moved = [
        point
        for point in points
        if result.compared_rate(size_class, point.num_images) != result.plan.decision_rate
    ]
    for rate in sorted({result.compared_rate(size_class, p.num_images) for p in moved}):
        mine = [p for p in moved if result.compared_rate(size_class, p.num_images) == rate]
        found.append(
            f"Faces {size_class}, {_columns(mine)}: fusers are compared at FAR {rate:g}, the strictest "
            f"that can be measured there, in place of {result.plan.decision_rate:g}."
        )
    return found


def _open_rates(size_class: str, points: Sequence[MediaPoint], kind: str) -> list[str]:
    """Rates without a figure, with the number of trials and how many the rate needs."""
    is_search = kind.startswith("TPIR")
    found: dict[float, list[MediaPoint]] = {}
    for point in points:
        for entry in point.tpir if is_search else point.verification_intervals:
            if not entry.resolved and entry.target is not None:
                found.setdefault(entry.target, []).append(point)
    what = "searches" if is_search else "comparisons of different people"
    lines = []
    for rate, mine in sorted(found.items()):
        trials = [
            point.num_searches if is_search else point.verification[0].num_non_mated
            for point in mine
        ]
        counts = ", ".join(f"{count:,}" for count in trials)
        lines.append(
            f"{kind} {rate:g} of faces {size_class}, {_columns(mine)}: {counts} {what}; it needs "
            f"{_needed(rate):,}."
        )
    return lines


def _columns(columns: Sequence[MediaColumn] | Sequence[MediaPoint]) -> str:
    numbers = [str(column.num_images) for column in columns if isinstance(column.num_images, int)]
    words = ["N = " + ", ".join(numbers)] if numbers else []
    words += ["whole medium"] if len(numbers) < len(columns) else []
    return " and ".join(words)


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
