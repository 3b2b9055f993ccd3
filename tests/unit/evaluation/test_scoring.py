"""One scorer: its figures are those of the three that stood here before it."""

from __future__ import annotations

import numpy as np
import pytest
from research.comparison.cross_fit import CrossFitPlan, summarise

from probefusion.errors import EmptySetError
from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import (
    pool_scores,
    pool_searches,
    score_probes,
    score_templates,
)
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.types import EmbeddingSet

RATES = (1e-3, 1e-2, 1e-1)
FUSERS = (MeanFuser(), NormWeightedFuser())


@pytest.fixture(scope="module")
def data() -> ProbeData:
    """50 people, 20 of them with two probe sets of 8."""
    rng = np.random.default_rng(77)
    people = rng.standard_normal((50, 24))
    owners = np.repeat(np.arange(20), 2)
    severities = rng.random((40, 8))
    noise = rng.standard_normal((40, 8, 24)) * (3 * severities)[..., None]
    probes = (people[owners, None] + noise) * (1.2 - severities)[..., None]
    names = np.array([f"p{k:02d}" for k in range(50)])
    return ProbeData(
        gallery=EmbeddingSet(embeddings=people + 0.2 * rng.standard_normal((50, 24))),
        gallery_subjects=names,
        probes=EmbeddingSet(embeddings=probes.reshape(320, 24)),
        probe_subjects=names[owners],
        severities=severities.astype(np.float32),
        protocol="made up",
    )


def test_sweep_figures(data) -> None:
    """Recorded from the former sweep: true accepts of 40 at each rate, hits at rank 1."""
    points = sweep(data, FUSERS, set_sizes=(1, 4, 8), false_accept_rates=RATES)
    found = [
        (
            point.fuser,
            point.num_images,
            [rate.num_true_accepts for rate in point.verification],
            round(point.rank1 * point.num_probe_sets),
        )
        for point in points
    ]
    assert found == [
        ("mean", 1, [22, 26, 34], 26),
        ("mean", 4, [38, 39, 40], 38),
        ("mean", 8, [40, 40, 40], 40),
        ("norm-weighted", 1, [22, 26, 34], 26),
        ("norm-weighted", 4, [39, 39, 40], 39),
        ("norm-weighted", 8, [40, 40, 40], 40),
    ]
    thresholds = [rate.threshold for rate in points[4].verification]
    assert thresholds == pytest.approx([0.58395, 0.47111, 0.25487], abs=1e-5)


def test_sweep_figures_of_blocks(data) -> None:
    points = sweep(data, FUSERS, set_sizes=(1, 4), false_accept_rates=RATES, max_blocks=2)
    assert [
        ([rate.num_true_accepts for rate in p.verification], round(p.rank1 * p.num_probe_sets))
        for p in points
    ] == [
        ([42, 51, 68], 51),
        ([76, 78, 80], 77),
        ([42, 51, 68], 51),
        ([77, 78, 80], 78),
    ]


def test_folder_figures(data) -> None:
    """Recorded from the former assessment: counts of 40, and intervals of 200 replicates."""
    plan = FolderPlan(
        set_sizes=(1, 4, 8),
        false_accept_rates=RATES,
        decision_rate=1e-2,
        false_positive_rates=(0.1,),
        max_rank=4,
        num_replicates=200,
    )
    result = evaluate_folder(data, FUSERS, plan)
    first, fourth, fifth = (result.points[index] for index in (0, 3, 4))
    assert [round(40 * rate) for rate in first.cmc] == [26, 28, 32, 33]
    assert [rate.num_true_accepts for rate in fifth.raw_gallery] == [39, 39, 40]
    assert [(i.low, i.high) for i in first.verification_intervals] == [
        (0.4, 0.725),
        (0.5, 0.825),
        (0.75, 0.95),
    ]
    assert (fourth.tpir[0].estimate, fifth.tpir[0].estimate) == (0.575, 0.975)
    assert fifth.tpir[0].low == pytest.approx(0.9244, abs=1e-4)
    assert (first.rank1.low, first.rank1.high) == (0.5, 0.825)
    assert [d.paired.difference for d in result.differences] == [0, 0, 0]


def test_cross_fit_figures(data) -> None:
    """Recorded from the former fold scores, fed three at a time."""
    plan = CrossFitPlan(
        set_sizes=(4,), false_accept_rates=RATES, decision_rate=1e-2, num_replicates=200
    )
    sums, counts = [], []
    for fuser in FUSERS:
        scores = score_probes(data, fuser, (4,), chunk_size=3)[4]
        result = summarise([[scores]], plan)
        counts.append([round(40 * rate) for rate in (*result.tar.values(), result.rank1)])
        sums.append((float(scores.mated.sum()), float(scores.non_mated.sum())))
        assert scores.non_mated.shape == (40, 49)
    assert counts == [[38, 39, 40, 38], [39, 39, 40, 39]]
    assert sums[0] == pytest.approx((32.5706, -9.944), abs=2e-3)
    assert sums[1] == pytest.approx((33.0157, -10.115), abs=2e-3)


def test_calibration_figures(data) -> None:
    found = calibrate(
        data, FUSERS[1], set_sizes=(1, 8), false_match_rates=(1e-2, 1e-1), source="test"
    )
    assert [t.similarity for t in found] == pytest.approx(
        [0.456892, 0.26724, 0.473945, 0.262796], abs=2e-6
    )
    assert {t.num_non_mated for t in found} == {1960}


def test_a_tie_is_a_miss() -> None:
    """Two gallery entries look the same: the own one stands second."""
    gallery = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    names = np.array(["a", "b", "c"])
    scores = score_templates(gallery[[0, 2]], gallery, names[[0, 2]], names)
    assert scores.ranks.tolist() == [2, 1]
    assert scores.rank1 == 0.5
    assert scores.non_mated.tolist() == [[1, 0], [0, 0]]


def test_nothing_pooled_is_refused() -> None:
    with pytest.raises(EmptySetError, match="at least one gallery"):
        pool_scores([])


def test_relatives_are_left_out_of_comparisons_and_searches() -> None:
    """ann's brother is the most similar to her probe: no false accept, no rival."""
    gallery = np.eye(4, dtype=np.float32)
    templates = np.array([[0.6, 0.8, 0, 0], [0, 0, 0.8, 0.6]], dtype=np.float32)
    people = np.array(["ann", "abe", "bob", "cid"])
    subjects = np.array(["ann", "bob"])
    relatives = np.array([[True, True, False, False], [False, False, True, False]])
    plain = score_templates(templates, gallery, subjects, people)
    scores = score_templates(templates, gallery, subjects, people, relatives=relatives)
    assert plain.ranks.tolist() == [2, 1]
    assert scores.ranks.tolist() == [1, 1]
    assert scores.mated.tolist() == plain.mated.tolist()
    assert plain.compared.tolist() == pytest.approx([0.8, 0, 0, 0, 0, 0.6])
    assert scores.compared.tolist() == pytest.approx([0, 0, 0, 0, 0.6])
    assert (plain.num_compared.tolist(), scores.num_compared.tolist()) == ([3, 3], [2, 3])
    (rate,) = scores.tar_at_far([0.2])
    assert (rate.num_non_mated, rate.num_true_accepts, rate.num_false_accepts) == (5, 2, 1)
    pooled = pool_scores([scores, plain])
    assert len(pooled.non_mated) == 11
    assert np.bincount(pooled.non_mated_people).tolist() == [5, 6]
    searches = pool_searches([scores, plain])
    assert searches.mated.tolist() == pytest.approx([0.6, 0.8, -np.inf, 0.8])
    assert searches.non_mated.tolist() == pytest.approx([0, 0.6, 0.8, 0.6])
    with pytest.raises(EmptySetError, match="at least one gallery"):
        pool_searches([])
