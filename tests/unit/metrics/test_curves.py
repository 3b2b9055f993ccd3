import numpy as np
import pytest

from probefusion.errors import EmptySetError, InvalidInputError, NonFiniteError
from probefusion.metrics import det, eer, roc


def test_roc_by_hand():
    curve = roc([0.9, 0.6, 0.6], [0.6, 0.2])
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.6, 0.2]
    assert curve.num_false_accepts.tolist() == [0, 0, 1, 2]
    assert curve.num_true_accepts.tolist() == [0, 1, 3, 3]
    assert curve.fars.tolist() == [0, 0, 0.5, 1]
    assert curve.tars.tolist() == [0, 1 / 3, 1, 1]
    assert (curve.num_mated, curve.num_non_mated) == (3, 2)


def test_det_is_the_other_side_of_roc():
    curve = det([0.9, 0.6, 0.6], [0.6, 0.2])
    assert curve.fmrs.tolist() == [0, 0, 0.5, 1]
    assert curve.fnmrs.tolist() == [1, 2 / 3, 0, 0]
    assert (curve.num_mated, curve.num_non_mated) == (3, 2)


def test_curves_cannot_be_changed():
    curve = roc([0.9], [0.1])
    for array in (curve.thresholds, curve.fars, curve.tars, curve.num_true_accepts):
        assert not array.flags.writeable


def test_a_curve_with_failures_ends_below_one():
    curve = roc([0.9, -np.inf], [0.1, -np.inf, -np.inf, 0.2])
    assert (curve.tars[-1], curve.fars[-1]) == (0.5, 0.5)
    only = roc([-np.inf], [-np.inf])
    assert (only.thresholds.tolist(), only.tars.tolist()) == ([np.inf], [0])
    assert det([-np.inf], [0.5]).fnmrs.tolist() == [1, 1]


def test_a_thinned_curve_is_complete_at_both_ends():
    rng = np.random.default_rng(0)
    mated, non_mated = rng.normal(1, 1, 20_000), rng.normal(-1, 1, 20_000)
    full, thin = roc(mated, non_mated), roc(mated, non_mated, max_points=400)
    assert 200 < len(thin.fars) <= 400
    assert set(range(6)) <= set(thin.num_false_accepts.tolist())
    assert set(range(6)) <= set((20_000 - thin.num_true_accepts).tolist())
    # Between neighbours on the logarithmic axis there is no large gap.
    counts = np.unique(thin.num_false_accepts[thin.num_false_accepts > 50])
    assert (counts[1:] / counts[:-1]).max() < 1.1
    # A point kept has the most true accepts of all points with as many false accepts.
    best = dict(zip(full.num_false_accepts, full.num_true_accepts, strict=True))
    for false_accepts in range(6):
        kept = thin.num_true_accepts[thin.num_false_accepts == false_accepts]
        assert kept.max() == best[false_accepts]


def test_max_points_has_a_least_value():
    assert len(roc([0.9], [0.1], max_points=10).fars) == 3
    with pytest.raises(InvalidInputError, match="max_points: expected at least 10"):
        roc([0.9], [0.1], max_points=9)


@pytest.mark.parametrize(
    ("mated", "non_mated", "rate", "threshold"),
    [
        ([0.9, 0.8], [0.2, 0.1], 0.0, 0.8),
        ([0.1, 0.2], [0.8, 0.9], 1.0, 0.8),
        ([0.5], [0.5], 0.5, 0.5),  # half way along the diagonal from (0, 1) to (1, 0)
        ([0.9, 0.4], [0.6, 0.1], 0.5, 0.6),
        ([0.9, 0.9, 0.5, 0.5], [0.5, 0.5, 0.1, 0.1], 0.25, 0.9),  # as far from .9 as from .5
        ([0.9, 0.8, 0.4, 0.3], [0.5, 0.2, 0.1], 1 / 3, 0.4),
    ],
)
def test_eer_by_hand(mated, non_mated, rate, threshold):
    found = eer(mated, non_mated)
    assert found.eer == pytest.approx(rate)
    assert found.threshold == threshold
    assert (found.num_mated, found.num_non_mated) == (len(mated), len(non_mated))


def test_eer_of_two_normals_is_that_of_theory():
    rng = np.random.default_rng(1)
    found = eer(rng.normal(2, 1, 200_000), rng.normal(0, 1, 200_000))
    assert found.eer == pytest.approx(0.158655, abs=0.002)
    assert found.threshold == pytest.approx(1, abs=0.02)
    assert found.fmr == pytest.approx(found.fnmr, abs=1e-4)


def test_input_is_checked():
    for curve in (roc, det, eer):
        with pytest.raises(EmptySetError, match=r"^mated"):
            curve([], [0.1])
        with pytest.raises(NonFiniteError, match=r"^non_mated"):
            curve([0.1], [np.nan])
    with pytest.raises(NonFiniteError, match="count them apart"):
        eer([0.5, -np.inf], [0.1])
