import math

import numpy as np
import pytest

from probefusion.errors import DtypeError, EmptySetError, InvalidInputError, ShapeError
from probefusion.metrics import (
    ComparisonScores,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    search_outcomes,
    split_by_subject,
    tar_at_far,
    tpir_of_searches,
    wilson_interval,
)
from probefusion.metrics import resampling as resampling_module
from probefusion.metrics.resampling import draw_people, weighted_tars


@pytest.fixture(scope="module")
def scores():
    """60 people against a gallery of 200, two probe sets each."""
    rng = np.random.default_rng(3)
    similarities = rng.standard_normal((120, 200)).round(1)
    people = np.arange(120) % 60
    similarities[np.arange(120), people] += 3
    return split_by_subject(similarities, people, np.arange(200))


def test_the_estimate_is_tar_at_far(scores):
    targets = (1e-4, 1e-3, 1e-2, 0.1)
    found = bootstrap_over_people(scores, targets, num_replicates=200, seed=5)
    exact = tar_at_far(scores.mated, scores.non_mated, targets)
    for interval, point in zip(found, exact, strict=True):
        assert interval.estimate == point.tar
        assert interval.target == point.target
        assert interval.resolved
        assert interval.low <= interval.estimate <= interval.high
        assert interval.low < interval.high
        assert (interval.num_people, interval.num_replicates, interval.seed) == (60, 200, 5)
        assert (interval.num_undefined, interval.level) == (0, 0.95)


def test_an_unresolved_target_has_no_interval(scores):
    (found,) = bootstrap_over_people(scores, 1e-6, num_replicates=100)
    assert not found.resolved
    assert all(math.isnan(value) for value in (found.estimate, found.low, found.high))


def test_a_seed_gives_the_same_interval_again(scores):
    first, again, other = (
        bootstrap_over_people(scores, 0.01, num_replicates=300, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_blocks_and_depth_change_nothing(scores, monkeypatch):
    weights = draw_people(60, num_replicates=100, seed=0).weights
    settings = {"average_per_person": False}
    whole = weighted_tars(scores, (0.001, 0.1), weights, **settings)
    monkeypatch.setattr(resampling_module, "_BLOCK_CELLS", 10_000)
    np.testing.assert_array_equal(weighted_tars(scores, (0.001, 0.1), weights, **settings), whole)


def test_a_person_who_owns_the_top_may_not_be_drawn():
    # 500 scores of person 0 stand above all of person 1: without person 0 one must look far down.
    non_mated = np.concatenate([np.linspace(2, 3, 500), np.linspace(0, 1, 500)])
    scores = ComparisonScores.from_subjects(
        [2.5, 0.995],
        non_mated,
        mated_subjects=[0, 1],
        non_mated_subjects=np.repeat([0, 1], 500),
    )
    weights = np.array([[0, 2], [1, 1], [2, 0]])
    found = weighted_tars(scores, (0.01,), weights, average_per_person=False)
    assert found[:, 0].tolist() == [1, 0, 0]


def test_the_score_that_must_be_refused_may_stand_just_out_of_reach():
    # Drawn once, person 1 has a budget of 10 of 1000. The first look reaches 84 scores down, of
    # which 74 are person 0's and exactly 10 are person 1's: the 11th must still be found.
    lower = np.linspace(1, 0, 1000)
    scores = ComparisonScores.from_subjects(
        [lower[10], lower[9]],
        np.concatenate([np.linspace(2, 3, 74), lower]),
        mated_subjects=[1, 1],
        non_mated_subjects=np.repeat([0, 1], [74, 1000]),
    )
    found = weighted_tars(scores, (0.01,), np.array([[0, 1]]), average_per_person=False)
    assert found.tolist() == [[0.5]]


def test_a_replicate_without_mated_scores_is_left_out_and_counted():
    scores = ComparisonScores.from_subjects(
        [0.9], [0.1, 0.2, 0.3, 0.4], mated_subjects=[0], non_mated_subjects=[0, 1, 2, 2]
    )
    for average_per_person in (False, True):
        (found,) = bootstrap_over_people(
            scores, 0.5, num_replicates=1000, average_per_person=average_per_person
        )
        assert found.num_undefined == pytest.approx(1000 * (2 / 3) ** 3, abs=60)
        assert (found.estimate, found.low, found.high) == (1, 1, 1)


def test_a_person_with_many_probes_counts_once_if_told():
    scores = ComparisonScores.from_subjects(
        [0.9, 0.9, 0.9, 0.1],
        [0.5, 0.2, 0.2, 0.2],
        mated_subjects=[0, 0, 0, 1],
        non_mated_subjects=[0, 0, 1, 1],
    )
    (pooled,) = bootstrap_over_people(scores, 0.25, num_replicates=100)
    (averaged,) = bootstrap_over_people(scores, 0.25, num_replicates=100, average_per_person=True)
    assert (pooled.estimate, averaged.estimate) == (0.75, 0.5)


@pytest.mark.parametrize("num", [6, 9, 49, 54])
def test_an_average_of_ones_is_exactly_one(num):
    # Added up in order, these many shares of 1 / num are not exactly 1.
    scores = ComparisonScores.from_subjects(
        np.full(num + 1, 0.9),
        [0.1, 0.2],
        mated_subjects=[0] + [1] * num,
        non_mated_subjects=[0, 1],
    )
    (found,) = bootstrap_over_people(scores, 0.5, num_replicates=100, average_per_person=True)
    assert (found.estimate, found.low, found.high) == (1, 1, 1)


def test_with_equally_many_probes_both_averages_are_exactly_one(scores):
    pooled, averaged = (
        bootstrap_over_people(scores, 0.01, num_replicates=200, average_per_person=average)
        for average in (False, True)
    )
    assert pooled == averaged


def test_repeating_each_comparison_does_not_shorten_the_interval(scores):
    twice = ComparisonScores.concatenate([scores, scores])
    (once,) = bootstrap_over_people(scores, 0.01, num_replicates=500)
    (again,) = bootstrap_over_people(twice, 0.01, num_replicates=500)
    assert (once.low, once.high) == (again.low, again.high)


def test_tpir_is_tar_of_the_open_set_scores():
    rng = np.random.default_rng(0)
    probes = np.arange(80)
    similarities = rng.standard_normal((80, 40))
    similarities[np.arange(40), np.arange(40)] += 3
    searches = search_outcomes(similarities, probes, np.arange(40))
    (point,) = tpir_of_searches(searches, 0.1)
    (found,) = bootstrap_over_people(searches.as_comparison_scores(), 0.1, num_replicates=200)
    assert found.estimate == point.tpir
    assert found.low < point.tpir < found.high


def test_the_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).normal(0.5, 1, 500)
    found = bootstrap_mean_over_people(values, np.arange(500), num_replicates=4000)
    half = 1.96 * values.std() / np.sqrt(500)
    assert found.estimate == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
    assert found.target is None
    (narrow,) = (
        bootstrap_mean_over_people(values, np.arange(500), num_replicates=4000, level=level)
        for level in (0.5,)
    )
    assert narrow.high - narrow.low == pytest.approx(2 * half * 0.6745 / 1.96, rel=0.07)


def test_people_are_drawn_and_not_probes():
    people = np.repeat(np.arange(50), 20)
    hits = np.repeat(np.arange(50) % 2, 20)
    clustered = bootstrap_mean_over_people(hits, people, num_replicates=2000)
    single = bootstrap_mean_over_people(hits, np.arange(1000), num_replicates=2000)
    ratio = (clustered.high - clustered.low) / (single.high - single.low)
    assert ratio == pytest.approx(np.sqrt(20), rel=0.15)


def test_means_average_people_first_if_told():
    values, people = [1, 1, 1, 0], ["a", "a", "a", "b"]
    assert bootstrap_mean_over_people(values, people).estimate == 0.75
    assert bootstrap_mean_over_people(values, people, average_per_person=True).estimate == 0.5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_replicates": 99}, InvalidInputError, "num_replicates: expected at least 100"),
        ({"num_replicates": 100.0}, DtypeError, "num_replicates"),
        ({"seed": -1}, InvalidInputError, "seed"),
        ({"level": 1}, InvalidInputError, "level"),
        ({"targets": []}, EmptySetError, "targets"),
    ],
)
def test_input_is_checked(scores, change, error, message):
    call = {"targets": 0.01, "num_replicates": 100, **change}
    with pytest.raises(error, match=message):
        bootstrap_over_people(scores, call.pop("targets"), **call)


def test_one_person_is_not_enough():
    scores = ComparisonScores.from_subjects(
        [0.9], [0.1], mated_subjects=[1], non_mated_subjects=[1]
    )
    with pytest.raises(InvalidInputError, match="needs at least 2, got 1"):
        bootstrap_over_people(scores, 0.5)
    with pytest.raises(InvalidInputError, match="needs at least 2, got 1"):
        bootstrap_mean_over_people([1, 0], ["a", "a"])
    with pytest.raises(EmptySetError, match="values is empty"):
        bootstrap_mean_over_people([], [])
    with pytest.raises(ShapeError, match="subjects"):
        bootstrap_mean_over_people([1, 0], ["a"])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_intervals_from_the_literature(successes, trials, low, high):
    found = wilson_interval(successes, trials)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert found.estimate == successes / trials
    assert (found.num_successes, found.num_trials, found.level) == (successes, trials, 0.95)


def test_wilson_input_is_checked():
    with pytest.raises(InvalidInputError, match="at most num_trials"):
        wilson_interval(2, 1)
    with pytest.raises(InvalidInputError, match="num_trials"):
        wilson_interval(0, 0)
    with pytest.raises(InvalidInputError, match="num_successes"):
        wilson_interval(-1, 1)
    with pytest.raises(InvalidInputError, match="level"):
        wilson_interval(1, 1, level=95)
