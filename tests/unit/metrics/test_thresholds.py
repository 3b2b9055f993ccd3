import numpy as np
import pytest

from probefusion.errors import InvalidInputError
from probefusion.metrics import largest_scores, tar_at_far, thresholds_at_far
from probefusion.metrics.thresholds import next_above


def test_thresholds_come_in_the_order_of_the_targets():
    loose, strict, none = thresholds_at_far([0.4, 0.3, 0.2, 0.1], [0.5, 0.25, 0.2])
    assert 0.2 < loose.threshold < 0.2 + 1e-12
    assert 0.3 < strict.threshold < 0.3 + 1e-12
    assert (loose.far, strict.far) == (0.5, 0.25)
    assert (none.resolved, none.budget, none.num_false_accepts) == (False, 0, None)


def test_the_scores_are_left_as_they_are():
    scores = np.array([0.4, 0.1, 0.3, 0.2])
    thresholds_at_far(scores, 0.5)
    assert scores.tolist() == [0.4, 0.1, 0.3, 0.2]


def test_held_scores_must_reach_down_to_the_threshold():
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal(1000) for _ in range(5)]
    top = largest_scores(blocks, 51)
    whole = thresholds_at_far(np.concatenate(blocks), 0.01)
    assert thresholds_at_far(top, 0.01, num_non_mated=5000) == whole
    with pytest.raises(InvalidInputError, match="needs the 61 largest of 5000 scores, got 51"):
        thresholds_at_far(top, 0.012, num_non_mated=5000)
    with pytest.raises(InvalidInputError, match="needs the 52 largest of 5000 scores, got 51"):
        thresholds_at_far(top, 0.0102, num_non_mated=5000)
    with pytest.raises(InvalidInputError, match="num_non_mated: expected at least 51"):
        tar_at_far([0.5], top, 0.01, num_non_mated=50)


def test_a_rate_of_one_needs_no_more_than_all_scores():
    (found,) = thresholds_at_far(np.array([0.1, 0.2], dtype=np.float32), 1.0)
    assert found.threshold == np.finfo(np.float32).min
    assert found.num_false_accepts == 2


def test_the_next_number_needs_no_floating_point_warning():
    with np.errstate(all="raise"):
        assert next_above(np.float64(0)) > 0
        assert next_above(np.float32(-np.inf)) == np.finfo(np.float32).min
        assert next_above(np.finfo(np.float64).max) == np.inf
