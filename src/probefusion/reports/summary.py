"""The main figures of an evaluation as small tables, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.evaluation.degraded_folder import FolderEvaluation
from probefusion.evaluation.licensed import BenchmarkResult
from probefusion.evaluation.media_results import MediaEvaluation
from probefusion.metrics import BootstrapInterval, TarAtFar
from probefusion.reports.pages import Table

__all__ = ["summary_of_benchmark", "summary_of_folder", "summary_of_media"]


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


def summary_of_media(result: MediaEvaluation) -> list[Table]:
    """By size class TAR at the false accept rate at which fusers are compared, and rank 1."""
    tables: list[Table] = []
    for size_class in dict.fromkeys(column.size_class for column in result.columns):
        columns = [
            column
            for column in result.columns
            if column.size_class == size_class and column.is_measured
        ]
        if not columns:
            continue
        faces = "all faces" if size_class == "all" else f"faces {size_class} px"
        header = ["fuser"]
        header += [
            f"N={c.num_images}" if isinstance(c.num_images, int) else "medium" for c in columns
        ]
        rate = max(result.compared_rate(size_class, column.num_images) for column in columns)
        index = result.plan.false_accept_rates.index(rate)
        rates, ranks = [], []
        for name in result.fusers:
            points = [result.point(name, size_class, column.num_images) for column in columns]
            mine = [point for point in points if point is not None]
            rates.append([name, *(_estimate(p.verification_intervals[index]) for p in mine)])
            ranks.append([name, *(f"{point.rank1.estimate:.3f}" for point in mine)])
        people = ["probe people", *(str(column.num_people) for column in columns)]
        tables.append(Table(f"{faces}: TAR at FAR {rate:g}", header, [*rates, people]))
        tables.append(Table(f"{faces}: rank 1 among {result.num_gallery}", header, ranks))
    return tables


def _estimate(interval: BootstrapInterval) -> str:
    return f"{interval.estimate:.4f}" if interval.resolved else "unresolved"


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
