"""Searches and similarities of templates against plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_references import (
    RATES,
    reference_best,
    reference_budget,
    reference_search,
    searches,
    seeds,
)

from probefusion.metrics import (
    cmc,
    cmc_of_searches,
    compare_all,
    iter_similarities,
    mean_cmc_over_galleries,
    mean_tpir_over_galleries,
    pair_similarities,
    search_outcomes,
    search_templates,
    split_by_subject,
    tpir_at_fpir,
    tpir_of_searches,
)

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
def test_ranks_among_templates_are_those_of_a_plain_loop(case):
    similarities, probes, gallery = case
    found = search_outcomes(similarities, probes, gallery, ranks_among="templates")
    by_subject = search_outcomes(similarities, probes, gallery)
    for i, (row, subject) in enumerate(zip(similarities, probes.tolist(), strict=True)):
        own = [score for score, owner in zip(row, gallery, strict=True) if owner == subject]
        expected = 0
        if own and max(own) > -math.inf:
            others = [s for s, owner in zip(row, gallery, strict=True) if owner != subject]
            expected = 1 + sum(score >= max(own) for score in others)
        assert found.ranks[i] == expected
    assert np.array_equal(found.is_mated, by_subject.is_mated)
    assert np.array_equal(found.mated_similarities, by_subject.mated_similarities, equal_nan=True)


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
