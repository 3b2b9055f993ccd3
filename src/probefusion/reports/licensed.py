"""The report of a licensed benchmark: JSON, Markdown and a page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.evaluation.licensed import BenchmarkResult
from probefusion.metrics import RocCurve, TarAtFar, TpirAtFpir
from probefusion.reports.cells import false_accepts, false_positives, plain_cell
from probefusion.reports.figures import curve_figure
from probefusion.reports.pages import Figure, Table, png, report_folder, write_pages
from probefusion.version import __version__

__all__ = ["benchmark_report_facts", "write_benchmark_report"]

REPORT_VERSION = 1

_NOTE = (
    "TAR by the budget rule: the threshold accepts at most floor(FAR x non-mated) non-mated pairs; "
    "'helper' is the nearest point of the ROC, as the InsightFace helper prints it. Galleries are "
    "searched apart; numbers of joined galleries are not comparable. Templates without a face count "
    "as misses. FA: false accepts at that threshold; FP: searches of people who are not there that return "
    "somebody; both are told where fewer than ten."
)


def benchmark_report_facts(
    results: Sequence[BenchmarkResult], facts: dict[str, Any]
) -> dict[str, Any]:
    """The content of `report.json`: every count and rate; what is not resolved is null."""
    return {
        "report_version": REPORT_VERSION,
        "probefusion": __version__,
        "evaluated": facts,
        "results": [_plain(result) for result in results],
    }


def write_benchmark_report(
    results: Sequence[BenchmarkResult],
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
    """Writes report.json, report.md and report.html.

    Args:
        results: What `evaluate_benchmark` gave.
        folder: Folder to make or to write into.
        title: Headline.
        facts: What was evaluated.
        limits: What could not be measured, and why, in words.
        content: What report.json holds; None is `benchmark_report_facts`.
        force: Whether an existing report may be replaced.
        more_notes: Paragraphs behind its own.
        more_tables: Tables behind its own.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
        MissingExtraError: If matplotlib or Jinja2 is not installed.
    """
    folder = report_folder(folder, force=force)
    write_pages(
        folder,
        content=benchmark_report_facts(results, facts) if content is None else content,
        title=title,
        notes=(_NOTE, *more_notes),
        limits=limits,
        tables=[*_tables(results), *more_tables],
        figures=_figures(results),
        facts=facts,
    )


def _figures(results: Sequence[BenchmarkResult]) -> list[Figure]:
    curves = {result.label: result.curve for result in results if result.curve is not None}
    if not curves:
        return []
    figure = curve_figure(curves)
    return [Figure("roc", "ROC and DET of the one-to-one comparisons.", png(figure))]


def _tables(results: Sequence[BenchmarkResult]) -> list[Table]:
    tables: list[Table] = []
    for title, kind in (("1:1, TAR at FAR", "verification"), ("1:1, helper's rule", "upstream")):
        rates = getattr(results[0], kind)
        if rates:
            header = ["fuser", *(f"{rate.target:g}" for rate in rates)]
            rows = [[r.label, *(_rate(rate) for rate in getattr(r, kind))] for r in results]
            tables.append(Table(title, header, rows))
    if results[0].fold_accuracy is not None:
        rows = [
            [r.label, f"{r.fold_accuracy.mean:.4f}", f"{r.fold_accuracy.standard_error:.4f}"]
            for r in results
            if r.fold_accuracy is not None
        ]
        tables.append(Table("Accuracy over folds", ["fuser", "mean", "standard error"], rows))
    for index, search in enumerate(results[0].searches):
        header = ["fuser", *(f"rank {rank}" for rank in search.cmc.ranks)]
        header += [f"TPIR at FPIR {entry.target:g}" for entry in search.tpir]
        header += [f"helper, {entry.target:g}" for entry in search.upstream_tpir]
        rows = []
        for result in results:
            mine = result.searches[index]
            closed = [f"{value:.4f}" for value in mine.cmc.rates]
            opened = [_search_rate(entry) for entry in mine.tpir]
            opened += [f"{e.tpir:.4f}" for e in mine.upstream_tpir]
            rows.append([result.label, *closed, *opened])
        tables.append(Table(f"1:N, {search.search}, {search.gallery}", header, rows))
    return tables


def _rate(rate: TarAtFar) -> str:
    return plain_cell(rate.tar, rate.resolved, false_accepts(rate.num_false_accepts))


def _search_rate(rate: TpirAtFpir) -> str:
    return plain_cell(rate.tpir, rate.resolved, false_positives(rate.num_false_positives))


def _plain(value: Any) -> Any:
    """Dataclasses and arrays as JSON can hold them; NaN and infinity as null."""
    if isinstance(value, RocCurve):
        return {"fars": _plain(value.fars), "tars": _plain(value.tars)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)
        }
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
