"""Rates that stand on few false matches say so, in every table."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.evaluation.licensed import BenchmarkResult, SearchResult
from probefusion.metrics import (
    ComparisonScores,
    bootstrap_over_people,
    cmc_of_searches,
    search_outcomes,
    tar_at_far,
    tpir_of_searches,
)
from probefusion.reports.cells import rate_cell, search_cell
from probefusion.reports.licensed import write_benchmark_report

RATES = (0.001, 0.01, 0.1)


@pytest.fixture
def scores() -> ComparisonScores:
    """20 people; 100 non-mated scores, so that 0.01 permits one false accept and 0.1 ten."""
    return ComparisonScores.from_subjects(
        np.linspace(0.4, 0.9, 20),
        np.linspace(0, 0.5, 100),
        mated_subjects=np.arange(20),
        non_mated_subjects=np.repeat(np.arange(20), 5),
    )


def test_cells_with_an_interval(scores: ComparisonScores) -> None:
    rates = tar_at_far(scores.mated, scores.non_mated, RATES)
    assert [rate.num_false_accepts for rate in rates] == [None, 1, 10]
    intervals = bootstrap_over_people(scores, RATES, num_replicates=100)
    cells = [rate_cell(*pair) for pair in zip(rates, intervals, strict=True)]
    assert cells[0] == "unresolved"
    assert cells[1].startswith("0.800 [")
    assert cells[1].endswith("] (1 FA)")
    assert cells[2].endswith("]")
    assert search_cell(intervals[1], 1).endswith("] (1 FP)")
    assert search_cell(intervals[2], 10) == cells[2]
    assert search_cell(intervals[0], None) == "unresolved"


def test_cells_of_licensed_benchmarks(tmp_path, scores: ComparisonScores) -> None:
    pytest.importorskip("jinja2")
    similarities = np.full((120, 20), -1.0)
    similarities[np.arange(20), np.arange(20)] = np.linspace(0.4, 0.9, 20)
    similarities[20:, 0] = np.linspace(0, 0.5, 100)
    found = search_outcomes(similarities, np.arange(120), np.arange(20))
    search = SearchResult(
        search="mixed",
        gallery="G1",
        cmc=cmc_of_searches(found, (1,)),
        tpir=tpir_of_searches(found, RATES),
        upstream_tpir=(),
    )
    result = BenchmarkResult(
        fuser="mean",
        chunk=None,
        num_failures=0,
        verification=tar_at_far(scores.mated, scores.non_mated, RATES),
        upstream=(),
        fold_accuracy=None,
        curve=None,
        searches=(search,),
    )
    write_benchmark_report([result], tmp_path / "report", title="made up", facts={})
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (tmp_path / "report" / "report.md").read_text().splitlines()
        if line.startswith("| mean")
    ]
    assert rows == [
        ["mean", "unresolved", "0.8000 (1 FA)", "0.9000"],
        ["mean", "1.0000", "unresolved", "0.8000 (1 FP)", "0.9000"],
    ]
