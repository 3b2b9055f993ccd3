"""The main figures of an evaluation as small tables, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.evaluation.degraded_folder import FolderEvaluation
from probefusion.evaluation.licensed import BenchmarkResult
from probefusion.metrics import TarAtFar
from probefusion.reports.pages import Table

__all__ = ["summary_of_benchmark", "summary_of_folder"]


def summary_of_folder(result: FolderEvaluation) -> list[Table]:
    """TAR at the false accept rate at which fusers are compared, if it is resolved, and rank 1, by set size."""
    sizes = result.plan.set_sizes
    names = list(dict.fromkeys(point.fuser for point in result.points))
    at = {(point.fuser, point.num_images): point for point in result.points}
    header = ["fuser", *(f"N={size}" for size in sizes)]
    tables: list[Table] = []
    if any(rate.resolved for rate in result.points[0].verification):
        target = result.compared_rate
        index = result.plan.false_accept_rates.index(target)
        rows = [
            [name, *(_rate(at[name, size].verification[index]) for size in sizes)] for name in names
        ]
        tables.append(Table(f"TAR at FAR {target:g}", header, rows))
    rows = [[name, *(f"{at[name, size].rank1.estimate:.3f}" for size in sizes)] for name in names]
    tables.append(Table(f"rank 1 among {result.num_gallery}", header, rows))
    return tables


def summary_of_benchmark(results: Sequence[BenchmarkResult]) -> list[Table]:
    """TAR by false accept rate, and rank 1 of every search."""
    tables: list[Table] = []
    if results[0].verification:
        header = ["fuser", *(f"{rate.target:g}" for rate in results[0].verification)]
        rows = [[way.label, *map(_rate, way.verification)] for way in results]
        tables.append(Table("TAR at FAR", header, rows))
    if results[0].searches:
        header = ["fuser", *(f"{entry.search}, {entry.gallery}" for entry in results[0].searches)]
        rows = [
            [way.label, *(f"{entry.cmc.rates[0]:.4f}" for entry in way.searches)] for way in results
        ]
        rank = int(results[0].searches[0].cmc.ranks[0])
        tables.append(Table(f"rank {rank}", header, rows))
    return tables


def _rate(rate: TarAtFar) -> str:
    return f"{rate.tar:.4f}" if rate.resolved else "unresolved"
