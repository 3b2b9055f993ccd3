import numpy as np
import pytest

from probefusion.errors import (
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from probefusion.metrics import error_versus_discard

SIMILARITIES = [0.1, 0.2, 0.9, 0.3, 0.8]
QUALITIES = [1, 2, 2, 3, 4]


def test_every_step_by_hand():
    curve = error_versus_discard(SIMILARITIES, QUALITIES, threshold=0.5)
    assert curve.discarded.tolist() == [0, 0.2, 0.6, 0.8]
    assert curve.errors.tolist() == [3 / 5, 2 / 4, 1 / 2, 0]
    assert curve.num_remaining.tolist() == [5, 4, 2, 1]
    assert (curve.fractions == curve.discarded).all()
    # Up to 20 % nothing is discarded: the mean over that range is the error of all.
    assert curve.area == pytest.approx(3 / 5)
    assert (curve.limit, curve.threshold, curve.num_comparisons) == (0.2, 0.5, 5)


def test_equal_qualities_are_not_parted():
    curve = error_versus_discard(
        SIMILARITIES, QUALITIES, threshold=0.5, fractions=[0, 0.2, 0.4, 0.59, 0.6, 0.99]
    )
    assert curve.discarded.tolist() == [0, 0.2, 0.2, 0.2, 0.6, 0.8]


def test_the_area_is_a_mean_over_the_range():
    curve = error_versus_discard(SIMILARITIES, QUALITIES, threshold=0.5, limit=0.9)
    expected = (0.2 * 0.6 + 0.4 * 0.5 + 0.2 * 0.5 + 0.1 * 0) / 0.9
    assert curve.area == pytest.approx(expected)


def test_false_matches_are_counted_on_the_other_side():
    curve = error_versus_discard(SIMILARITIES, QUALITIES, threshold=0.8, error="fmr", fractions=[0])
    assert curve.errors.tolist() == [2 / 5]
    curve = error_versus_discard(SIMILARITIES, QUALITIES, threshold=0.8, fractions=[0])
    assert curve.errors.tolist() == [3 / 5]


def test_the_threshold_is_not_rounded_to_the_scores():
    score = np.array([0.5], dtype=np.float32)
    assert error_versus_discard(score, [1], threshold=0.5).errors[0] == 0
    assert error_versus_discard(score, [1], threshold=0.5 + 1e-12).errors[0] == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"similarities": []}, EmptySetError, "similarities is empty"),
        ({"qualities": [1, 2]}, ShapeError, "one for each similarity"),
        ({"qualities": [1, 2, 3, 4, np.nan]}, NonFiniteError, "qualities"),
        ({"qualities": [1, 2, 3, 4, -np.inf]}, NonFiniteError, "qualities"),
        ({"threshold": np.nan}, NonFiniteError, "threshold"),
        ({"fractions": [1.0]}, InvalidInputError, "fractions: expected shares"),
        ({"fractions": [-0.1]}, InvalidInputError, "fractions: expected shares"),
        ({"fractions": []}, EmptySetError, "fractions is empty"),
        ({"limit": 0}, InvalidInputError, "limit"),
        ({"error": "far"}, UnknownNameError, "error"),
    ],
)
def test_input_is_checked(change, error, message):
    call = {"similarities": SIMILARITIES, "qualities": QUALITIES, "threshold": 0.5, **change}
    with pytest.raises(error, match=message):
        error_versus_discard(**call)
