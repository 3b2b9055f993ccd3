import math

import numpy as np
import pytest

from probefusion.errors import EmptySetError, InvalidInputError, MismatchError, ShapeError
from probefusion.metrics import (
    bootstrap_over_people,
    compare_means_over_people,
    compare_over_people,
    non_inferiority,
    split_by_subject,
    tar_at_far,
)
from probefusion.metrics.resampling import draw_people


def scores_with(shift, noise_seed):
    rng = np.random.default_rng(7)
    similarities = rng.standard_normal((100, 300))
    similarities += 0.2 * np.random.default_rng(noise_seed).standard_normal((100, 300))
    similarities[np.arange(100), np.arange(100)] += shift
    return split_by_subject(similarities, np.arange(100), np.arange(300))


@pytest.fixture(scope="module")
def pair():
    return scores_with(3.2, 1), scores_with(2.8, 2)


def test_the_difference_is_that_of_the_two_rates(pair):
    good, poor = pair
    (found,) = compare_over_people(good, poor, 1e-3, num_replicates=1000, seed=4)
    rates = [tar_at_far(side.mated, side.non_mated, 1e-3)[0].tar for side in pair]
    assert (found.first, found.second) == tuple(rates)
    assert found.difference == rates[0] - rates[1]
    assert found.low < found.difference < found.high
    assert (found.target, found.resolved, found.num_people, found.seed) == (1e-3, True, 100, 4)
    assert (found.num_replicates, found.num_undefined, found.level) == (1000, 0, 0.95)
    assert len(found.replicates) == 1000
    assert not found.replicates.flags.writeable
    assert "replicates=" not in repr(found).replace("num_replicates=", "")


def test_both_sides_get_the_same_people(pair):
    good, poor = pair
    (found,) = compare_over_people(good, poor, 1e-2, num_replicates=1000)
    alone = [bootstrap_over_people(side, 1e-2, num_replicates=1000)[0] for side in pair]
    unpaired = math.hypot(*(side.high - side.low for side in alone))
    assert found.high - found.low < 0.9 * unpaired


def test_a_mean_of_rank_one_hits_is_compared_by_hand():
    first, second = np.array([1, 1, 0, 1]), np.array([1, 0, 0, 0])
    found = compare_means_over_people(first, second, [1, 2, 3, 4], num_replicates=500, seed=9)
    weights = draw_people(4, num_replicates=500, seed=9).weights
    replicates = weights @ (first - second) / 4
    np.testing.assert_allclose(found.replicates, replicates)
    assert (found.first, found.second, found.difference) == (0.75, 0.25, 0.5)
    assert found.p_value == min(1, 2 * (1 + np.count_nonzero(replicates <= 0)) / 501)
    assert (found.low, found.high) == tuple(np.quantile(replicates, [0.025, 0.975]))


def test_a_clear_difference_has_the_smallest_p_value():
    found = compare_means_over_people(np.ones(50), np.zeros(50), np.arange(50), num_replicates=999)
    assert found.p_value == 2 / 1000
    assert (found.low, found.high) == (1, 1)


def test_p_values_of_no_difference_are_uniform_enough():
    rng = np.random.default_rng(0)
    p_values = [
        compare_means_over_people(
            rng.normal(size=80), rng.normal(size=80), np.arange(80), num_replicates=200
        ).p_value
        for _ in range(300)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_people_are_averaged_first_if_told():
    first, second, people = [1, 1, 1, 0], [0, 0, 0, 0], ["a", "a", "a", "b"]
    pooled = compare_means_over_people(first, second, people)
    averaged = compare_means_over_people(first, second, people, average_per_person=True)
    assert (pooled.difference, averaged.difference) == (0.75, 0.5)


def test_an_unresolved_target_has_no_difference(pair):
    (found,) = compare_over_people(*pair, 1e-6, num_replicates=100)
    assert not found.resolved
    values = (found.difference, found.low, found.high, found.p_value, found.first, found.second)
    assert all(math.isnan(value) for value in values)
    with pytest.raises(InvalidInputError, match="target 1e-06 is not resolved"):
        non_inferiority(found)


def test_input_is_checked(pair):
    good, _ = pair
    other = split_by_subject(np.eye(100)[:, ::-1], np.arange(100), np.arange(100))
    with pytest.raises(MismatchError, match="same comparisons"):
        compare_over_people(good, other, 0.01)
    with pytest.raises(EmptySetError, match="targets"):
        compare_over_people(good, good, [])
    with pytest.raises(InvalidInputError, match="level"):
        compare_over_people(good, good, 0.01, level=0)
    with pytest.raises(ShapeError, match="second: expected one value for each of first"):
        compare_means_over_people([1, 0], [1], [1, 2])
    with pytest.raises(ShapeError, match="subjects"):
        compare_means_over_people([1, 0], [1, 1], [1])
    with pytest.raises(InvalidInputError, match="at least 2"):
        compare_means_over_people([1, 0], [1, 1], [1, 1])
