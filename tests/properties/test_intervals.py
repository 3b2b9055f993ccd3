"""The bootstrap over people, other intervals and corrections against plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_references import (
    RATES,
    people_scores,
    reference_best,
    reference_budget,
    seeds,
    spread,
    tied,
)

from probefusion.metrics import (
    ComparisonScores,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    compare_means_over_people,
    compare_over_people,
    holm,
    non_inferiority,
    tar_at_far,
    wilson_interval,
)
from probefusion.metrics.resampling import draw_people, weighted_means, weighted_tars

# --- bootstrap


@settings(max_examples=30)
@given(people_scores(), seeds)
def test_weighted_tars_are_those_of_repeated_scores(scores, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(6, scores.num_people))
    weights[:, 0] += 1
    found = weighted_tars(scores, RATES, weights, average_per_person=False)
    for row, tars in zip(weights, found, strict=True):
        mated = np.repeat(scores.mated, row[scores.mated_people])
        non_mated = np.repeat(scores.non_mated, row[scores.non_mated_people])
        for rate, tar in zip(RATES, tars, strict=True):
            hits, _ = reference_best(mated, non_mated, reference_budget(rate, len(non_mated)))
            assert tar == hits / len(mated)


@settings(max_examples=30)
@given(people_scores(), seeds)
def test_averages_per_person_give_each_drawn_person_one_vote(scores, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(6, scores.num_people))
    weights[:, 0] += 1
    found = weighted_tars(scores, (0.3,), weights, average_per_person=True)
    for row, (tar,) in zip(weights, found, strict=True):
        non_mated = np.repeat(scores.non_mated, row[scores.non_mated_people])
        cutoffs = sorted(non_mated.tolist(), reverse=True)
        cutoff = cutoffs[reference_budget(0.3, len(non_mated))]
        votes = [
            np.mean(scores.mated[scores.mated_people == person] > cutoff)
            for person in range(scores.num_people)
        ]
        assert tar == pytest.approx(np.average(votes, weights=row), abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 3), spread), min_size=1, max_size=20), seeds, st.booleans()
)
def test_weighted_means_are_those_of_repeated_values(pairs, seed, average_per_person):
    people, values = np.array([p for p, _ in pairs]), np.array([v for _, v in pairs], dtype=float)
    weights = np.random.default_rng(seed).integers(0, 4, size=(5, 4))
    found = weighted_means(values, people, weights, average_per_person=average_per_person)
    for row, mean in zip(weights, found, strict=True):
        if average_per_person:
            present = sorted(set(people.tolist()))
            items = [values[people == person].mean() for person in present]
            repeats = row[present]
        else:
            items, repeats = values, row[people]
        if repeats.sum() == 0:
            assert np.isnan(mean)
        else:
            assert mean == pytest.approx(np.average(items, weights=repeats), abs=1e-9)


@given(st.integers(2, 30), st.integers(0, 2**40))
def test_a_resample_draws_as_many_people_as_there_are(num_people, seed):
    resample = draw_people(num_people, num_replicates=100, seed=seed)
    assert resample.weights.min() >= 0
    assert (resample.weights.sum(axis=1) == num_people).all()
    again = draw_people(num_people, num_replicates=100, seed=seed)
    np.testing.assert_array_equal(resample.weights, again.weights)


@settings(max_examples=30)
@given(people_scores(), st.sampled_from([0.5, 1.0]), st.integers(0, 9))
def test_an_interval_is_between_quantiles_of_repeated_experiments(scores, rate, seed):
    (found,) = bootstrap_over_people(scores, rate, num_replicates=100, seed=seed, level=0.9)
    replicates = []
    for row in draw_people(scores.num_people, num_replicates=100, seed=seed).weights:
        mated = np.repeat(scores.mated, row[scores.mated_people])
        non_mated = np.repeat(scores.non_mated, row[scores.non_mated_people])
        hits, _ = reference_best(mated, non_mated, reference_budget(rate, len(non_mated)))
        replicates.append(hits / len(mated))
    assert found.estimate == tar_at_far(scores.mated, scores.non_mated, rate)[0].tar
    expected = np.quantile(replicates, [0.05, 0.95])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), tied), min_size=2, max_size=15))
def test_an_interval_of_a_mean_is_between_quantiles_of_repeated_values(pairs):
    people, values = np.array([p for p, _ in pairs]), np.array([v for _, v in pairs])
    names, positions = np.unique(people, return_inverse=True)
    assume(len(names) > 1)
    found = bootstrap_mean_over_people(values, people, num_replicates=100, seed=3)
    weights = draw_people(len(names), num_replicates=100, seed=3).weights
    replicates = [np.repeat(values, row[positions]).mean() for row in weights]
    assert found.estimate == pytest.approx(values.mean(), abs=1e-12)
    expected = np.quantile(replicates, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)


@settings(max_examples=30)
@given(people_scores(), st.booleans())
def test_a_comparison_turned_round_changes_its_sign(scores, average_per_person):
    other = ComparisonScores(
        people=scores.people,
        mated=scores.mated[::-1],
        mated_people=scores.mated_people,
        non_mated=scores.non_mated,
        non_mated_people=scores.non_mated_people,
    )
    settings = {"num_replicates": 100, "average_per_person": average_per_person}
    (there,) = compare_over_people(scores, other, 0.5, **settings)
    (back,) = compare_over_people(other, scores, 0.5, **settings)
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert there.p_value == back.p_value
    (same,) = compare_over_people(scores, scores, 0.5, **settings)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(tied, tied), min_size=2, max_size=12), st.sampled_from([0.005, 0.1, 0.25])
)
def test_p_values_count_replicates(pairs, margin):
    first, second = np.array(pairs).T
    found = compare_means_over_people(first, second, np.arange(len(pairs)), num_replicates=200)
    replicates = [0.0 if abs(r) < 1e-12 else r for r in found.replicates.tolist()]
    at_most = (1 + sum(r <= 0 for r in replicates)) / 201
    at_least = (1 + sum(r >= 0 for r in replicates)) / 201
    assert found.p_value == min(1, 2 * min(at_most, at_least))
    verdict = non_inferiority(found, margin=margin)
    worse = (1 + sum(r <= -margin + 1e-12 for r in replicates)) / 201
    assert verdict.p_value == worse
    assert verdict.is_non_inferior == (worse <= 0.025)


# --- other intervals and corrections


@given(st.lists(st.sampled_from([0.0, 0.01, 0.02, 0.03, 0.2, 1.0]), min_size=1, max_size=8))
def test_holm_is_the_closed_test_of_bonferroni_tests(p_values):
    # A hypothesis is rejected when Bonferroni rejects every set of hypotheses that holds it, so its
    # adjusted p-value is the largest that Bonferroni gives to such a set.
    found = holm(p_values)
    for i, mine in enumerate(p_values):
        others = [p for j, p in enumerate(p_values) if j != i]
        worst = 0.0
        for subset in range(2 ** len(others)):
            family = [mine] + [p for j, p in enumerate(others) if subset >> j & 1]
            worst = max(worst, min(1.0, len(family) * min(family)))
        assert found.adjusted[i] == pytest.approx(worst, abs=1e-12)
    assert (found.is_rejected == (found.adjusted <= 0.05)).all()


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_ends_are_where_the_score_test_turns(num_trials, data, level):
    num_successes = data.draw(st.integers(0, num_trials))
    found = wilson_interval(num_successes, num_trials, level=level)
    z = {0.8: 1.2815515655446004, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[level]
    assert found.low <= found.estimate <= found.high
    for end, is_outer in (
        (found.low, num_successes == 0),
        (found.high, num_successes == num_trials),
    ):
        if not is_outer:
            deviation = abs(found.estimate - end) / math.sqrt(end * (1 - end) / num_trials)
            assert deviation == pytest.approx(z, rel=1e-6)
