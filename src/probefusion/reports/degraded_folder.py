"""The report of a degraded-folder evaluation: JSON, Markdown and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from probefusion.evaluation.degraded_folder import FolderEvaluation, FuserAtSize, FuserDifference
from probefusion.metrics import TarAtFar
from probefusion.reports.cells import (
    INTERVAL_NOTE,
    change_cell,
    change_facts,
    false_accepts,
    interval_cell,
    interval_facts,
    is_empty,
    number,
    plain_cell,
    rate_cell,
    rate_facts,
    search_cell,
)
from probefusion.reports.figures import folder_figures
from probefusion.reports.pages import Figure, Table, png, report_folder, write_pages
from probefusion.version import __version__

__all__ = ["REPORT_VERSION", "report_facts", "write_report"]

REPORT_VERSION = 1
"""Version of the schema of `report.json`."""


def write_report(
    result: FolderEvaluation,
    folder: str | Path,
    *,
    title: str,
    facts: dict[str, Any],
    limits: Sequence[str] = (),
    content: dict[str, Any] | None = None,
    force: bool = False,
    more_notes: Sequence[str] = (),
    more_tables: Sequence[Table] = (),
) -> None:
    """Writes the report.

    Args:
        result: What `evaluate_folder` gave.
        folder: Folder to make or to write into.
        title: Headline.
        facts: What was evaluated (protocol definition, embedder, data, command); kept as given.
        limits: What could not be measured, and why, in words.
        content: What report.json holds; None is `report_facts`.
        force: Whether existing report files may be replaced.
        more_notes: Paragraphs behind its own.
        more_tables: Tables behind its own.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
        MissingExtraError: If matplotlib or Jinja2 is not installed.
    """
    folder = report_folder(folder, force=force)
    figures = [
        Figure(name, caption, png(figure)) for name, caption, figure in folder_figures(result)
    ]
    write_pages(
        folder,
        content=report_facts(result, facts) if content is None else content,
        title=title,
        notes=(_counts(result), INTERVAL_NOTE, *more_notes),
        limits=limits,
        tables=[*_tables(result), *more_tables],
        figures=figures,
        facts=facts,
    )


def report_facts(result: FolderEvaluation, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of `report.json`; unresolved rates are null with `resolved` false, never zero."""
    return {
        "report_version": REPORT_VERSION,
        "probefusion": __version__,
        "evaluated": facts,
        "num_people": result.num_people,
        "num_probe_sets": result.num_probe_sets,
        "num_gallery": result.num_gallery,
        "num_replicates": result.plan.num_replicates,
        "points": [_point(point) for point in result.points],
        "differences": [_difference(difference) for difference in result.differences],
        "compared_far": result.compared_rate,
        "severity_edges": [round(float(edge), 6) for edge in result.severity_edges],
        "weight_by_severity": {
            name: [number(value) for value in values]
            for name, values in result.weight_by_severity.items()
        },
    }


def _point(point: FuserAtSize) -> dict[str, Any]:
    return {
        "fuser": point.fuser,
        "fingerprint": point.fingerprint,
        "num_images": point.num_images,
        "tar_at_far": [
            rate_facts(rate, interval)
            for rate, interval in zip(point.verification, point.verification_intervals, strict=True)
        ],
        "raw_gallery": [
            {"far": rate.target, "resolved": rate.resolved, "tar": number(rate.tar)}
            for rate in point.raw_gallery
        ],
        "rank1": interval_facts(point.rank1),
        "tpir_at_fpir": [
            {"fpir": entry.target, **interval_facts(entry), "num_false_positives": count}
            for entry, count in zip(point.tpir, point.num_false_positives, strict=True)
        ],
        "cmc": [round(float(value), 6) for value in point.cmc],
    }


def _difference(difference: FuserDifference) -> dict[str, Any]:
    return {
        "fuser": difference.fuser,
        "reference": difference.reference,
        "num_images": difference.num_images,
        **change_facts(difference.paired, difference.adjusted_p_value),
    }


def _tables(result: FolderEvaluation) -> list[Table]:
    """(title, header, rows) of every table of the report that holds a figure."""
    sizes = result.plan.set_sizes
    names = list(dict.fromkeys(point.fuser for point in result.points))
    at = {(point.fuser, point.num_images): point for point in result.points}
    header = ["fuser", *(f"N={size}" for size in sizes)]
    tables: list[Table] = []
    for index, rate in enumerate(result.plan.false_accept_rates):
        rows = [[name, *(_rate_cell(at[name, size], index) for size in sizes)] for name in names]
        tables.append(Table(f"TAR at FAR {rate:g}", header, rows))
    for index, rate in enumerate(result.plan.false_positive_rates):
        rows = [[name, *(_search_cell(at[name, size], index) for size in sizes)] for name in names]
        tables.append(Table(f"TPIR at FPIR {rate:g}", header, rows))
    compared = result.compared_rate
    index = result.plan.false_accept_rates.index(compared)
    rows = [
        [name, *(_plain_rate(at[name, size].raw_gallery[index]) for size in sizes)]
        for name in names
    ]
    title = f"TAR at FAR {compared:g}, gallery embeddings not fused"
    tables.append(Table(title, header, rows))
    rows = [[name, *(interval_cell(at[name, size].rank1) for size in sizes)] for name in names]
    tables.append(Table("Rank-1 identification rate", header, rows))
    changes = {(d.fuser, d.num_images): d for d in result.differences}
    if changes:
        rows = [
            [
                name,
                *(
                    change_cell(changes[name, size].paired, changes[name, size].adjusted_p_value)
                    for size in sizes
                ),
            ]
            for name in names[1:]
        ]
        title = f"TAR at FAR {compared:g} minus that of {names[0]}"
        tables.append(Table(title, header, rows))
    return [table for table in tables if not is_empty(table)]


def _plain_rate(rate: TarAtFar) -> str:
    return plain_cell(rate.tar, rate.resolved, false_accepts(rate.num_false_accepts), places=3)


def _rate_cell(point: FuserAtSize, index: int) -> str:
    return rate_cell(point.verification[index], point.verification_intervals[index])


def _search_cell(point: FuserAtSize, index: int) -> str:
    return search_cell(point.tpir[index], point.num_false_positives[index])


def _counts(result: FolderEvaluation) -> str:
    return (
        f"{result.num_people} probe people, {result.num_probe_sets} probe sets, "
        f"{result.num_gallery} gallery entries, {result.plan.num_replicates} replicates."
    )
