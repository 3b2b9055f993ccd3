"""Every metric against a plain reference that looks at all scores for each threshold."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from probefusion.metrics import (
    ComparisonScores,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    cmc,
    cmc_of_searches,
    compare_all,
    compare_means_over_people,
    compare_over_people,
    det,
    eer,
    error_budget,
    error_versus_discard,
    holm,
    iter_similarities,
    largest_scores,
    mean_cmc_over_galleries,
    mean_tpir_over_galleries,
    non_inferiority,
    pair_similarities,
    roc,
    search_outcomes,
    search_templates,
    split_by_subject,
    tar_at_far,
    thresholds_at_far,
    tpir_at_fpir,
    tpir_of_searches,
    verification_rates,
    wilson_interval,
)
from probefusion.metrics.resampling import draw_people, weighted_means, weighted_tars

RATES = (0.001, 0.05, 0.1, 0.29, 1 / 3, 0.5, 0.7, 1.0)

tied = st.integers(-3, 3).map(lambda step: step / 4)
spread = st.floats(-1, 1, width=32)
failed = st.just(-math.inf)
precisions = st.sampled_from([np.float32, np.float64])


@st.composite
def score_arrays(draw, failures=True, min_size=1, max_size=25):
    """Many ties, no ties, or both; float32 or float64; some failed comparisons."""
    values = draw(st.sampled_from([tied, spread, tied | spread]))
    if failures and draw(st.booleans()):
        values = values | failed
    listed = draw(st.lists(values, min_size=min_size, max_size=max_size))
    return np.array(listed, dtype=draw(precisions))


@st.composite
def searches(draw, failures=True):
    """Similarities (P, G) with probe and gallery subjects, several templates of a subject."""
    probes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    gallery = draw(st.lists(st.integers(0, 4), min_size=1, max_size=8))
    values = tied | failed if failures else tied
    size = len(probes) * len(gallery)
    flat = draw(st.lists(values, min_size=size, max_size=size))
    return np.array(flat).reshape(len(probes), len(gallery)), np.array(probes), np.array(gallery)


@st.composite
def people_scores(draw):
    """Scores of up to five people, each with at least one mated and one non-mated score."""
    num_people = draw(st.integers(2, 5))
    everyone = list(range(num_people))
    columns = []
    for _ in range(2):
        more = draw(st.lists(st.sampled_from(everyone), max_size=20))
        people = everyone + more
        values = draw(st.lists(tied | failed, min_size=len(people), max_size=len(people)))
        columns.append((values, people))
    (mated, mated_people), (non_mated, non_mated_people) = columns
    return ComparisonScores.from_subjects(
        mated, non_mated, mated_subjects=mated_people, non_mated_subjects=non_mated_people
    )


# --- plain references


def reference_budget(rate, count):
    # 1/3 cannot be written as a decimal; everything else means the decimal it prints as.
    exact = Fraction(1, 3) if rate == 1 / 3 else Fraction(str(rate))
    return math.floor(exact * count)


def count_at_or_above(scores, threshold):
    return sum(1 for score in scores if score >= threshold)


def reference_best(mated, non_mated, budget):
    """(true accepts, false accepts) at the most lenient finite score that keeps the budget."""
    mated, non_mated = list(map(float, mated)), list(map(float, non_mated))
    best = (0, 0)
    for threshold in {score for score in mated + non_mated if score > -math.inf}:
        false_accepts = count_at_or_above(non_mated, threshold)
        if false_accepts <= budget:
            best = max(best, (count_at_or_above(mated, threshold), false_accepts))
    return best


def reference_points(mated, non_mated):
    """[(threshold, false accepts, true accepts)] from +inf downward."""
    mated, non_mated = list(map(float, mated)), list(map(float, non_mated))
    finite = sorted({s for s in mated + non_mated if s > -math.inf}, reverse=True)
    return [
        (t, count_at_or_above(non_mated, t), count_at_or_above(mated, t))
        for t in [math.inf, *finite]
    ]


def reference_search(row, subject, gallery):
    """(rank or 0, similarity to the own subject or None, top similarity) of one probe."""
    best = {}
    for similarity, other in zip(row.tolist(), gallery.tolist(), strict=True):
        best[other] = max(best.get(other, -math.inf), similarity)
    top = max(best.values())
    if subject not in best:
        return 0, None, top
    own = best[subject]
    if own == -math.inf:
        return 0, own, top
    return 1 + sum(1 for o, s in best.items() if o != subject and s >= own), own, top


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


# --- identification


@settings(max_examples=60)
@given(searches())
def test_search_outcomes_are_those_of_a_plain_loop(case):
    similarities, probes, gallery = case
    found = search_outcomes(similarities, probes, gallery)
    for i, (row, subject) in enumerate(zip(similarities, probes.tolist(), strict=True)):
        rank, own, top = reference_search(row, subject, gallery)
        assert found.ranks[i] == rank
        assert found.top_similarities[i] == top
        assert found.is_mated[i] == (own is not None)
        if own is None:
            assert np.isnan(found.mated_similarities[i])
        else:
            assert found.mated_similarities[i] == own
    assert found.num_gallery_subjects == len(set(gallery.tolist()))


@settings(max_examples=60)
@given(searches())
def test_cmc_counts_ranks(case):
    similarities, probes, gallery = case
    loop = [reference_search(r, s, gallery) for r, s in zip(similarities, probes, strict=True)]
    mated = [rank for rank, own, _ in loop if own is not None]
    assume(mated)
    curve = cmc(similarities, probes, gallery, ranks=(1, 2, 5, 100))
    for rank, hits, rate in zip(curve.ranks, curve.num_hits, curve.rates, strict=True):
        expected = sum(1 for place in mated if 1 <= place <= rank)
        assert hits == expected
        assert rate == expected / len(mated)
    assert (curve.num_mated, curve.num_non_mated) == (len(mated), len(loop) - len(mated))


@settings(max_examples=60)
@given(searches(), st.sampled_from([1, 2, 10]))
def test_tpir_at_fpir_is_the_best_within_the_budget(case, rank):
    similarities, probes, gallery = case
    loop = [reference_search(r, s, gallery) for r, s in zip(similarities, probes, strict=True)]
    mated = [own if 1 <= place <= rank else -math.inf for place, own, _ in loop if own is not None]
    tops = [top for _, own, top in loop if own is None]
    assume(mated)
    assume(tops)
    for point in tpir_at_fpir(similarities, probes, gallery, RATES, rank=rank):
        budget = reference_budget(point.target, len(tops))
        assert point.resolved == (budget >= 1)
        if point.resolved:
            hits, false_positives = reference_best(mated, tops, budget)
            assert (point.num_hits, point.num_false_positives) == (hits, false_positives)
            assert (point.tpir, point.fpir) == (hits / len(mated), false_positives / len(tops))
    for point in tpir_at_fpir(
        similarities, probes, gallery, RATES, rank=rank, rule="upstream_compat"
    ):
        exceeded = sorted(tops, reverse=True)[max(int(len(tops) * point.target) - 1, 0)]
        assert point.num_hits == sum(1 for score in mated if score > exceeded)
        assert point.num_false_positives == sum(1 for score in tops if score > exceeded)


@settings(max_examples=60)
@given(searches(), st.randoms())
def test_identification_does_not_depend_on_the_order_of_gallery_or_probes(case, random):
    similarities, probes, gallery = case
    columns, rows = list(range(len(gallery))), list(range(len(probes)))
    random.shuffle(columns)
    random.shuffle(rows)
    found = search_outcomes(similarities, probes, gallery)
    mixed = search_outcomes(similarities[rows][:, columns], probes[rows], gallery[columns])
    np.testing.assert_array_equal(found.ranks[rows], mixed.ranks)
    np.testing.assert_array_equal(found.mated_similarities[rows], mixed.mated_similarities)


@settings(max_examples=30)
@given(st.lists(searches(), min_size=1, max_size=3))
def test_means_over_galleries_are_plain_means(cases):
    outcomes = [search_outcomes(*case) for case in cases]
    assume(all(0 < found.num_mated < len(found) for found in outcomes))
    points = [tpir_of_searches(found, [0.5, 1.0]) for found in outcomes]
    for i, mean in enumerate(mean_tpir_over_galleries(points)):
        assert mean.tpir == pytest.approx(np.mean([p[i].tpir for p in points]), nan_ok=True)
        assert mean.resolved == all(p[i].resolved for p in points)
    curves = [cmc_of_searches(found, ranks=[1, 3]) for found in outcomes]
    expected = np.mean([curve.rates for curve in curves], axis=0)
    np.testing.assert_allclose(mean_cmc_over_galleries(curves).rates, expected)


@given(searches())
def test_split_by_subject_takes_every_comparison_once(case):
    similarities, probes, gallery = case
    expected = {True: [], False: []}
    for i, probe in enumerate(probes.tolist()):
        for j, other in enumerate(gallery.tolist()):
            expected[probe == other].append((similarities[i, j], probe))
    assume(expected[True])
    assume(expected[False])
    scores = split_by_subject(similarities, probes, gallery)
    people = scores.people
    mated = list(zip(scores.mated, people[scores.mated_people], strict=True))
    non_mated = list(zip(scores.non_mated, people[scores.non_mated_people], strict=True))
    assert mated == expected[True]
    assert non_mated == expected[False]


# --- templates


def plain_cosines(first, second):
    first, second = first.astype(np.float64), second.astype(np.float64)
    norms = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)
    return first @ second.T / norms


seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 12), st.integers(1, 9), st.integers(1, 20), st.integers(1, 5))
def test_blocks_of_similarities_are_the_plain_cosines(seed, num_probes, num_gallery, dim, block):
    rng = np.random.default_rng(seed)
    probes = rng.standard_normal((num_probes, dim)) * 5
    gallery = rng.standard_normal((num_gallery, dim)) / 5
    expected = plain_cosines(probes, gallery)
    np.testing.assert_allclose(compare_all(probes, gallery, block=block), expected, atol=1e-5)
    parts = list(iter_similarities(probes, gallery, block=block))
    covered = [row for rows, _ in parts for row in range(rows.start, rows.stop)]
    assert covered == list(range(num_probes))
    assert all(len(part) == rows.stop - rows.start for rows, part in parts)


@given(seeds, st.integers(1, 12), st.integers(1, 600), st.integers(1, 7))
def test_pair_similarities_are_the_plain_cosines(seed, num, num_pairs, block):
    rng = np.random.default_rng(seed)
    templates = rng.standard_normal((num, 8))
    first, second = rng.integers(num, size=(2, num_pairs))
    found = pair_similarities(templates, first, second, block=block)
    np.testing.assert_allclose(found, plain_cosines(templates, templates)[first, second], atol=1e-5)


@given(seeds, st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_searching_templates_is_searching_their_similarities(seed, num_probes, num_gallery, block):
    rng = np.random.default_rng(seed)
    probes, gallery = rng.standard_normal((num_probes, 6)), rng.standard_normal((num_gallery, 6))
    who, enrolled = rng.integers(4, size=num_probes), rng.integers(4, size=num_gallery)
    blocked = search_templates(
        probes, gallery, probe_subjects=who, gallery_subjects=enrolled, block=block
    )
    whole = search_outcomes(plain_cosines(probes, gallery), who, enrolled)
    np.testing.assert_array_equal(blocked.ranks, whole.ranks)
    np.testing.assert_array_equal(blocked.is_mated, whole.is_mated)
    np.testing.assert_allclose(blocked.top_similarities, whole.top_similarities, atol=1e-5)
    np.testing.assert_allclose(blocked.mated_similarities, whole.mated_similarities, atol=1e-5)


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
