import math

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    UnknownNameError,
)
from probefusion.metrics import tar_at_far, verification_rates

MATED = [0.9, 0.8, 0.5, 0.3]
NON_MATED = [0.7, 0.5, 0.5, 0.4, 0.2, 0.2, 0.1, 0.0, -0.1, -0.3]


@pytest.mark.parametrize(
    ("far", "true_accepts", "false_accepts"),
    [
        (0.1, 2, 1),  # refuses both 0.5, and so the mated 0.5 too
        (0.2, 2, 1),  # one of two equal scores cannot be accepted
        (0.3, 3, 3),
        (0.4, 4, 4),  # the mated 0.3 lies above the fifth non-mated score
        (0.5, 4, 4),
        (1.0, 4, 10),
    ],
)
def test_tar_at_far_by_hand(far, true_accepts, false_accepts):
    (point,) = tar_at_far(MATED, NON_MATED, far)
    assert (point.num_true_accepts, point.num_false_accepts) == (true_accepts, false_accepts)
    assert (point.tar, point.far) == (true_accepts / 4, false_accepts / 10)
    assert point.resolved
    assert (point.num_mated, point.num_non_mated, point.rule) == (4, 10, "budget")


def test_a_target_that_cannot_be_resolved_has_no_value():
    (point,) = tar_at_far(MATED, NON_MATED, 0.09)
    assert not point.resolved
    assert point.budget == 0
    assert all(math.isnan(value) for value in (point.tar, point.far, point.threshold))
    assert point.num_true_accepts is None
    assert point.num_false_accepts is None


def test_the_whole_budget_is_used_at_one_in_ten_thousand():
    non_mated = np.arange(10_000) / 10_000
    (point,) = tar_at_far([0.99985, 0.99991], non_mated, 1e-4)
    assert (point.budget, point.num_false_accepts, point.num_true_accepts) == (1, 1, 2)


def test_equal_scores_everywhere_accept_nothing_below_a_rate_of_one():
    mated, non_mated = np.full(3, 0.5), np.full(5, 0.5)
    strict, loose = tar_at_far(mated, non_mated, [0.8, 1.0])
    assert (strict.tar, strict.far, strict.resolved) == (0, 0, True)
    assert (loose.tar, loose.far) == (1, 1)


def test_a_failed_comparison_is_never_accepted():
    (point,) = tar_at_far([0.9, -np.inf], [0.1, -np.inf], 1.0)
    assert (point.num_true_accepts, point.num_false_accepts) == (1, 1)
    assert np.isfinite(point.threshold)
    (point,) = tar_at_far([0.9, -np.inf], [0.1, -np.inf], 0.5)
    assert (point.num_true_accepts, point.num_false_accepts) == (1, 1)


def test_a_float32_threshold_decides_float32_scores():
    mated = np.array([0.1, 0.3], dtype=np.float32)
    non_mated = np.array([0.3, 0.2], dtype=np.float32)
    (point,) = tar_at_far(mated, non_mated, 0.5)
    threshold = np.float32(point.threshold)
    assert float(threshold) == point.threshold
    assert (mated >= threshold).tolist() == [False, True]
    assert (non_mated >= threshold).tolist() == [True, False]


def test_a_score_at_the_threshold_is_accepted():
    just_above = np.nextafter(0.5, 1)
    (point,) = tar_at_far([just_above, 0.5], [0.9, 0.5], 0.5)
    assert point.threshold == just_above
    assert point.num_true_accepts == 1


def test_mixed_precisions_are_compared_in_the_higher():
    # In float32 these two would be one number.
    non_mated = np.array([0.5], dtype=np.float32)
    (point,) = tar_at_far([0.5 + 1e-12, 0.5], np.append(non_mated, [0.6]), 0.5)
    assert point.num_true_accepts == 1


def test_upstream_compat_can_exceed_its_target():
    # Rates 0, .1, .3, .4, ...: the nearest to .25 is .3, which the budget of 2 forbids.
    (point,) = tar_at_far(MATED, NON_MATED, 0.25, rule="upstream_compat")
    assert (point.far, point.tar, point.budget) == (0.3, 0.75, 2)
    (strict,) = tar_at_far(MATED, NON_MATED, 0.25)
    assert (strict.far, strict.tar) == (0.1, 0.5)


def test_upstream_compat_takes_the_looser_of_two_equally_near_points():
    # The points are (0, 0), (0, 1), (.5, 1) and (1, 1); (.5, 1) is on a straight line and left out.
    tie, near = tar_at_far([0.9], [0.5, 0.1], [0.5, 0.4], rule="upstream_compat")
    assert (tie.far, tie.tar) == (1.0, 1.0)
    assert (near.far, near.tar) == (0.0, 1.0)


def test_upstream_compat_gives_a_value_where_the_budget_rule_has_none():
    (point,) = tar_at_far(MATED, NON_MATED, 1e-6, rule="upstream_compat")
    assert (point.tar, point.resolved) == (0.5, False)


def test_input_is_checked():
    with pytest.raises(EmptySetError, match=r"^mated"):
        tar_at_far([], NON_MATED, 0.1)
    with pytest.raises(EmptySetError, match=r"^non_mated"):
        tar_at_far(MATED, [], 0.1)
    with pytest.raises(NonFiniteError, match=r"^mated"):
        tar_at_far([np.nan], NON_MATED, 0.1)
    with pytest.raises(InvalidInputError, match=r"^targets"):
        tar_at_far(MATED, NON_MATED, 0)
    with pytest.raises(InvalidInputError, match=r"^targets"):
        tar_at_far(MATED, NON_MATED, 2, rule="upstream_compat")
    with pytest.raises(UnknownNameError, match="upstream_compat"):
        tar_at_far(MATED, NON_MATED, 0.1, rule="upstream")
    with pytest.raises(ConfigError, match="needs all non-mated scores"):
        tar_at_far(MATED, NON_MATED, 0.1, rule="upstream_compat", num_non_mated=100)
    with pytest.raises(NonFiniteError, match="no failed comparisons"):
        tar_at_far([0.5, -np.inf], NON_MATED, 0.1, rule="upstream_compat")


def test_rates_at_a_fixed_threshold_by_hand():
    rates = verification_rates(MATED, NON_MATED, 0.5)
    assert (rates.num_false_matches, rates.fmr) == (3, 0.3)
    assert (rates.num_false_non_matches, rates.fnmr) == (1, 0.25)
    assert (rates.threshold, rates.num_mated, rates.num_non_mated) == (0.5, 4, 10)


def test_a_fixed_threshold_is_not_rounded_to_the_scores():
    score = np.array([0.5], dtype=np.float32)
    assert verification_rates(score, score, 0.5 + 1e-12).fmr == 0
    assert verification_rates([0.5, -np.inf], [0.5], -1e300).fnmr == 0.5


def test_a_fixed_threshold_must_be_finite():
    for threshold in (np.nan, np.inf, -np.inf):
        with pytest.raises(NonFiniteError, match=r"^threshold"):
            verification_rates(MATED, NON_MATED, threshold)
