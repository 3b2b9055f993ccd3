"""Verification, curves and discarding against plain references and scikit-learn."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_references import (
    RATES,
    count_at_or_above,
    failed,
    reference_best,
    reference_budget,
    reference_points,
    score_arrays,
    tied,
)
from sklearn.metrics import roc_curve

from probefusion.metrics import (
    det,
    eer,
    error_budget,
    error_versus_discard,
    largest_scores,
    roc,
    tar_at_far,
    thresholds_at_far,
    verification_rates,
)

# --- verification


@given(st.sampled_from(RATES), st.integers(1, 10**6))
def test_a_budget_is_the_exact_floor_of_the_decimal(rate, count):
    assert error_budget(rate, count) == reference_budget(rate, count)


@given(st.integers(1, 10**9), st.data())
def test_a_rate_of_k_in_n_has_a_budget_of_k(count, data):
    budget = data.draw(st.integers(1, count))
    assert error_budget(budget / count, count) == budget


@given(score_arrays(), score_arrays())
def test_tar_at_far_is_the_best_within_the_budget(mated, non_mated):
    for rate, point in zip(RATES, tar_at_far(mated, non_mated, RATES), strict=True):
        budget = reference_budget(rate, len(non_mated))
        assert point.budget == budget
        assert point.resolved == (budget >= 1)
        if not point.resolved:
            assert math.isnan(point.tar)
            assert point.num_true_accepts is None
            continue
        true_accepts, false_accepts = reference_best(mated, non_mated, budget)
        assert (point.num_true_accepts, point.num_false_accepts) == (true_accepts, false_accepts)
        assert point.tar == true_accepts / len(mated)
        assert point.far == false_accepts / len(non_mated) <= rate
        # The reported threshold makes the reported decisions, as a fixed threshold too.
        fixed = verification_rates(mated, non_mated, point.threshold)
        assert fixed.num_false_matches == false_accepts
        assert fixed.num_false_non_matches == len(mated) - true_accepts


@given(score_arrays(min_size=3), st.sampled_from([0.34, 0.5, 1.0]))
def test_a_threshold_is_the_lowest_that_keeps_the_budget(non_mated, rate):
    (found,) = thresholds_at_far(non_mated, rate)
    assert count_at_or_above(non_mated, found.threshold) == found.num_false_accepts <= found.budget
    with np.errstate(over="ignore"):
        number = non_mated.dtype.type
        one_lower = np.nextafter(number(found.threshold), number(-np.inf))
    accepted = count_at_or_above(non_mated, one_lower)
    assert accepted > found.budget or one_lower == -np.inf


@given(score_arrays(), score_arrays(min_size=4), st.integers(1, 5))
def test_the_largest_scores_are_enough(mated, non_mated, block):
    rate = 0.5
    needed = error_budget(rate, len(non_mated)) + 1
    blocks = [non_mated[start : start + block] for start in range(0, len(non_mated), block)]
    kept = largest_scores(blocks, needed)
    assert sorted(kept.tolist()) == sorted(non_mated.tolist())[-needed:]
    whole = tar_at_far(mated, non_mated, rate)
    assert tar_at_far(mated, kept, rate, num_non_mated=len(non_mated)) == whole


@given(score_arrays(failures=False), score_arrays(failures=False))
def test_upstream_compat_is_the_nearest_point_of_scikit_learns_curve(mated, non_mated):
    mated, non_mated = mated.astype(np.float64), non_mated.astype(np.float64)
    labels = np.concatenate([np.ones(len(mated)), np.zeros(len(non_mated))])
    fars, tars, thresholds = roc_curve(labels, np.concatenate([mated, non_mated]))
    fars, tars, thresholds = fars[::-1], tars[::-1], thresholds[::-1]
    for point in tar_at_far(mated, non_mated, RATES, rule="upstream_compat"):
        nearest = int(np.argmin(np.abs(fars - point.target)))
        assert point.tar == pytest.approx(tars[nearest], abs=1e-12)
        assert point.far == pytest.approx(fars[nearest], abs=1e-12)
        assert point.threshold == thresholds[nearest]
        assert point.num_true_accepts == count_at_or_above(mated, point.threshold)
        assert point.num_false_accepts == count_at_or_above(non_mated, point.threshold)


# --- curves


@given(score_arrays(failures=False), score_arrays(failures=False))
def test_roc_has_the_points_of_scikit_learn(mated, non_mated):
    curve = roc(mated, non_mated)
    labels = np.concatenate([np.ones(len(mated)), np.zeros(len(non_mated))])
    fars, tars, thresholds = roc_curve(
        labels, np.concatenate([mated, non_mated]), drop_intermediate=False
    )
    np.testing.assert_allclose(curve.fars, fars, atol=1e-12)
    np.testing.assert_allclose(curve.tars, tars, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


@given(score_arrays(), score_arrays())
def test_roc_and_det_count_at_every_distinct_score(mated, non_mated):
    expected = reference_points(mated, non_mated)
    curve, errors = roc(mated, non_mated), det(mated, non_mated)
    assert curve.thresholds.tolist() == [point[0] for point in expected]
    assert curve.num_false_accepts.tolist() == [point[1] for point in expected]
    assert curve.num_true_accepts.tolist() == [point[2] for point in expected]
    assert errors.fmrs.tolist() == [point[1] / len(non_mated) for point in expected]
    assert errors.fnmrs.tolist() == [(len(mated) - point[2]) / len(mated) for point in expected]


@given(score_arrays(max_size=60), score_arrays(max_size=60), st.integers(10, 20))
def test_a_thinned_roc_keeps_exact_points_and_both_ends(mated, non_mated, max_points):
    full, thin = roc(mated, non_mated), roc(mated, non_mated, max_points=max_points)
    points = list(zip(full.thresholds, full.fars, full.tars, strict=True))
    kept = list(zip(thin.thresholds, thin.fars, thin.tars, strict=True))
    assert len(kept) <= max_points
    assert set(kept) <= set(points)
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert kept == sorted(kept, key=lambda point: -point[0])


@given(score_arrays(failures=False), score_arrays(failures=False))
def test_eer_is_where_the_straight_lines_meet(mated, non_mated):
    points = [
        (t, Fraction(f, len(non_mated)), Fraction(len(mated) - a, len(mated)))
        for t, f, a in reference_points(mated, non_mated)
    ]
    for (_, fmr, fnmr), (_, next_fmr, next_fnmr) in itertools.pairwise(points):
        if next_fmr >= next_fnmr:
            before, after = fnmr - fmr, next_fmr - next_fnmr
            expected = fmr + before / (before + after) * (next_fmr - fmr)
            break
    found = eer(mated, non_mated)
    assert found.eer == pytest.approx(float(expected), abs=1e-12)
    rates = {t: (float(fmr), float(fnmr)) for t, fmr, fnmr in points}
    assert rates[found.threshold] == (found.fmr, found.fnmr)
    nearest = min(abs(fmr - fnmr) for t, fmr, fnmr in points if t < math.inf)
    assert abs(found.fmr - found.fnmr) == pytest.approx(float(nearest), abs=1e-12)


# --- discard


@given(
    st.lists(st.tuples(tied | failed, st.integers(0, 4)), min_size=1, max_size=25),
    st.sampled_from(["fnmr", "fmr"]),
    st.sampled_from([0.05, 0.2, 0.9]),
)
def test_error_versus_discard_keeps_whole_groups_of_equal_quality(pairs, error, limit):
    similarities, qualities = zip(*pairs, strict=True)
    total, threshold, fractions = len(pairs), 0.25, [0, 0.1, 0.29, 0.5, 0.9]
    wrong = [(s >= threshold) == (error == "fmr") for s in similarities]

    def remaining(fraction):
        """The remaining errors when whole groups go, worst first, within the budget."""
        best = list(range(total))
        for cut in sorted(set(qualities)):
            kept = [i for i in range(total) if qualities[i] >= cut]
            if total - len(kept) <= Fraction(str(fraction)) * total:
                best = kept
        return best

    curve = error_versus_discard(
        similarities, qualities, threshold=threshold, fractions=fractions, error=error, limit=limit
    )
    for i, fraction in enumerate(fractions):
        kept = remaining(fraction)
        assert curve.num_remaining[i] == len(kept)
        assert curve.discarded[i] == (total - len(kept)) / total
        assert curve.errors[i] == sum(wrong[k] for k in kept) / len(kept)
    grid = (np.arange(3000) + 0.5) / 3000 * limit
    steps = error_versus_discard(
        similarities, qualities, threshold=threshold, error=error, limit=limit
    )
    place = np.searchsorted(steps.discarded, grid, side="right") - 1
    assert steps.area == pytest.approx(float(steps.errors[place].mean()), abs=0.02)
