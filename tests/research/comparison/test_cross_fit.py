from __future__ import annotations

import numpy as np
import pytest
from research.comparison.cross_fit import (
    CrossFitPlan,
    compare_pooled,
    judge,
    summarise,
)

from probefusion.errors import EmptySetError, ShapeError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.metrics import tar_at_far
from probefusion.types import EmbeddingSet

PLAN = CrossFitPlan(
    set_sizes=(1, 4), false_accept_rates=(1e-3, 1e-2), decision_rate=1e-2, num_replicates=300
)


def fold_data(fold: int, people: int = 30, size: int = 4) -> ProbeData:
    """People whose bad images are short and point anywhere: weighting by length must help."""
    rng = np.random.default_rng(fold)
    names = np.array([f"f{fold}-p{index:02d}" for index in range(people)])
    centres = rng.standard_normal((people, 24))
    probes, bad = [], rng.random((people, size)) < 0.6
    for person in range(people):
        noise = rng.standard_normal((size, 24))
        good = 20 * (centres[person] + 0.3 * noise)
        probes.append(np.where(bad[person][:, None], 2 * noise, good))
    return ProbeData(
        gallery=EmbeddingSet(embeddings=20 * centres + rng.standard_normal((people, 24))),
        gallery_subjects=names,
        probes=EmbeddingSet(embeddings=np.concatenate(probes)),
        probe_subjects=names,
        severities=bad.astype(np.float32),
        protocol=f"test@{fold}",
    )


@pytest.fixture(scope="module")
def scores():
    data = [fold_data(fold) for fold in range(3)]
    return {
        fuser.name: {
            size: [[score_probes(one, fuser, PLAN.set_sizes)[size] for one in data]]
            for size in PLAN.set_sizes
        }
        for fuser in (MeanFuser(), NormWeightedFuser())
    }


def pooled(by_size):
    return {size: [pool_scores(folds) for folds in seeds] for size, seeds in by_size.items()}


def test_pooled_scores_are_those_of_all_folds(scores) -> None:
    folds = scores["mean"][4][0]
    together = pool_scores(folds)
    assert together.num_people == 90
    assert len(together.mated) == 90
    assert len(together.non_mated) == 3 * 30 * 29
    assert np.allclose(np.sort(together.mated), np.sort(np.concatenate([f.mated for f in folds])))


def test_people_of_different_folds_stay_apart(scores) -> None:
    together = pool_scores(scores["mean"][1][0])
    counts = np.bincount(together.non_mated_people)
    assert (counts == 29).all()


def test_summary_is_the_rate_of_the_pooled_scores(scores) -> None:
    folds = scores["norm-weighted"][4]
    found = summarise(folds, PLAN)
    together = pool_scores(folds[0])
    expected = tar_at_far(together.mated, together.non_mated, [1e-2])[0].tar
    assert found.tar[1e-2] == pytest.approx(expected)
    assert found.by_seed == (expected,)
    assert found.interval.low <= expected <= found.interval.high


def test_a_better_fuser_is_found_better_and_the_same_one_not(scores) -> None:
    better = compare_pooled(pooled(scores["norm-weighted"]), pooled(scores["mean"]), PLAN)
    same = compare_pooled(pooled(scores["mean"]), pooled(scores["mean"]), PLAN)
    verdicts = judge({"better": better, "same": same}, PLAN)
    at_four = verdicts["better"][1]
    assert at_four.num_images == 4
    assert at_four.is_better
    assert not at_four.is_worse
    assert at_four.is_non_inferior
    assert all(v.is_non_inferior and not v.is_better for v in verdicts["same"])


def test_training_seeds_are_averaged(scores) -> None:
    seeds = {size: [*scores["norm-weighted"][size], *scores["mean"][size]] for size in (1, 4)}
    alone = compare_pooled(pooled(scores["norm-weighted"]), pooled(scores["mean"]), PLAN)
    both = compare_pooled(pooled(seeds), pooled(scores["mean"]), PLAN)
    assert both[1].difference == pytest.approx(alone[1].difference / 2)


def test_seeds_must_fit(scores) -> None:
    three = {size: scores["mean"][size] * 3 for size in (1, 4)}
    two = {size: scores["mean"][size] * 2 for size in (1, 4)}
    with pytest.raises(ShapeError, match="training seeds"):
        compare_pooled(pooled(three), pooled(two), PLAN)


def test_no_folds() -> None:
    with pytest.raises(EmptySetError):
        pool_scores([])
