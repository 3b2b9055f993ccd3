"""Cells by which stated intervals are judged, on made people."""

from __future__ import annotations

import numpy as np
import pytest
from research.screening import populations

from probefusion.evaluation.threshold_evidence import make_calibration
from probefusion.fusion.calibration import CalibrationSource
from probefusion.fusion.fit_non_mated import Sets

NUM_PEOPLE, DIM = 120, 16


def made_sets(rng):
    """Two populations; clean sets and degraded ones, which lie close together."""
    rows = rng.standard_normal((4 * NUM_PEOPLE, DIM))
    rows[:, 0] += np.tile(np.repeat([0.0, 2.0], NUM_PEOPLE), 2)
    people = np.concatenate([np.tile(np.arange(NUM_PEOPLE) + NUM_PEOPLE * p, 2) for p in (0, 1)])
    return Sets(
        vectors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
        num_images=np.ones(len(rows), dtype=np.int64),
        kinds=np.repeat([0, 1, 2, 3], NUM_PEOPLE),
        populations=np.repeat([0, 1], 2 * NUM_PEOPLE),
        people=people,
        individuals=people,
        media=np.full(len(rows), -1),
    )


def test_cells_count_what_was_accepted_and_hold_what_was_stated() -> None:
    sets = made_sets(np.random.default_rng(0))
    is_poor = sets.kinds % 2 == 1

    def calibrated(rows):
        used, kinds = np.unique(sets.kinds[rows], return_inverse=True)
        return make_calibration(
            Sets(**{**vars(sets.part(rows)), "kinds": kinds}),
            [bool(kind % 2) for kind in used],
            embedder="net@1",
            fuser="mean@1",
            protocol="made",
            sources=[CalibrationSource(name="made", num_people=NUM_PEOPLE, num_sets=NUM_PEOPLE)],
            rates=(1e-2,),
        )

    rng = np.random.default_rng(1)
    found = populations.report(sets, is_poor, ["one", "two"], calibrated, rng)
    assert set(found) == {"half", "left out"}
    cells = {name for name, *_ in found["left out"]}
    kinds = ("clean 1 - clean 1", "clean 1 - degraded 1", "degraded 1 - degraded 1")
    assert cells == {f"{population} {kind}" for population in ("one", "two") for kind in kinds}
    for name, rate, (achieved, low, high), (stated_low, stated_high, _) in found["left out"]:
        assert rate == 1e-2
        assert low <= achieved <= high
        assert stated_low < 1 < stated_high, name
        assert achieved == pytest.approx(1, abs=0.8)


def test_the_count_of_a_cell_is_that_of_all_pairs() -> None:
    """By hand: a threshold of the calibration, pair by pair."""
    from probefusion.fusion.decisions import Side, decide

    sets = made_sets(np.random.default_rng(0))
    half = np.flatnonzero(sets.people % 2 == 0)
    rest = np.flatnonzero((sets.people % 2 == 1) & (sets.kinds == 0))
    record = make_calibration(
        sets.part(half),
        [False, True, False, True],
        embedder="net@1",
        fuser="mean@1",
        protocol="made",
        sources=[],
        rates=(1e-2,),
    )
    cells = populations.defaultdict(populations.Cell)
    judged = sets.part(rest)
    populations.judge(record, judged, np.zeros(len(rest), dtype=bool), cells)
    (cell,) = (cell for (_, _, rate), cell in cells.items() if rate == 1e-2)
    first, second = np.triu_indices(len(rest), 1)
    one = np.ones(len(first), dtype=np.int64)
    sides = [
        Side(name="", vectors=judged.vectors[part], num_images=one) for part in (first, second)
    ]
    decided = [each.threshold for each in decide(record, *sides, false_match_rate=1e-2)]
    similarities = np.einsum("pd,pd->p", sides[0].vectors, sides[1].vectors).tolist()
    hits = [
        similarity >= threshold.similarity
        for similarity, threshold in zip(similarities, decided, strict=True)
        if threshold is not None
    ]
    assert len(hits) > 500
    assert cell.trials[0] == len(hits)
    assert cell.errors[0] == sum(hits) > 0
    low = np.mean([threshold.low for threshold in decided if threshold is not None])
    assert cell.stated[0] / cell.trials[0] == pytest.approx(low)
