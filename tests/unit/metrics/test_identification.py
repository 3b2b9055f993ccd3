import math
from dataclasses import replace

import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    MismatchError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from probefusion.metrics import (
    cmc,
    cmc_of_searches,
    mean_cmc_over_galleries,
    mean_tpir_over_galleries,
    search_outcomes,
    search_templates,
    tpir_at_fpir,
    tpir_of_searches,
)
from probefusion.metrics import searches as searches_module

# Gallery: ann twice, bob, cid. Probes: ann, bob, cid, and two people who are not enrolled.
GALLERY = ["ann", "bob", "ann", "cid"]
PROBES = ["ann", "bob", "cid", "yan", "zoe"]
SIMILARITIES = [
    [0.2, 0.5, 0.8, 0.1],  # ann: .8 by her second template, rank 1
    [0.7, 0.6, 0.3, 0.1],  # bob: behind ann, rank 2
    [0.4, 0.4, 0.4, 0.4],  # cid: equal to both others, rank 3
    [0.6, 0.1, 0.1, 0.1],  # yan: top .6
    [0.1, 0.3, 0.1, 0.2],  # zoe: top .3
]


def test_search_outcomes_by_hand():
    found = search_outcomes(SIMILARITIES, PROBES, GALLERY)
    assert found.ranks.tolist() == [1, 2, 3, 0, 0]
    assert found.is_mated.tolist() == [True, True, True, False, False]
    assert found.top_similarities.tolist() == [0.8, 0.7, 0.4, 0.6, 0.3]
    assert found.mated_similarities[:3].tolist() == [0.8, 0.6, 0.4]
    assert np.isnan(found.mated_similarities[3:]).all()
    assert (len(found), found.num_mated, found.num_non_mated) == (5, 3, 2)
    assert found.num_gallery_subjects == 3
    assert not found.ranks.flags.writeable


def test_a_search_whose_own_comparisons_failed_finds_nothing():
    found = search_outcomes([[-np.inf, -np.inf], [-np.inf, 0.5]], [1, 1], [1, 2])
    assert found.ranks.tolist() == [0, 0]
    assert cmc_of_searches(found, ranks=[1, 2]).rates.tolist() == [0, 0]


def test_searches_in_several_blocks_are_the_same(monkeypatch):
    whole = search_outcomes(SIMILARITIES, PROBES, GALLERY)
    monkeypatch.setattr(searches_module, "_BLOCK_CELLS", 9)
    parts = search_outcomes(SIMILARITIES, PROBES, GALLERY)
    assert parts.ranks.tolist() == whole.ranks.tolist()
    assert parts.top_similarities.tolist() == whole.top_similarities.tolist()


def test_a_gallery_in_any_order_with_one_template_each():
    similarities = np.array([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1]])
    found = search_outcomes(similarities, ["a", "x"], ["c", "a", "b"])
    assert found.ranks.tolist() == [1, 0]
    assert found.mated_similarities[0] == 0.9


def test_cmc_by_hand():
    curve = cmc(SIMILARITIES, PROBES, GALLERY, ranks=(1, 2, 3, 50))
    assert curve.num_hits.tolist() == [1, 2, 3, 3]
    assert curve.rates.tolist() == [1 / 3, 2 / 3, 1, 1]
    assert (curve.num_mated, curve.num_non_mated, curve.num_gallery_subjects) == (3, 2, 3)


@pytest.mark.parametrize(
    ("fpir", "rank", "hits", "false_positives"),
    [
        (0.5, 1, 1, 1),  # threshold just above .3
        (1.0, 1, 1, 2),
        (0.5, 2, 2, 1),
        (0.5, 3, 3, 1),  # cid .4 is above .3
    ],
)
def test_tpir_by_hand(fpir, rank, hits, false_positives):
    (point,) = tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, fpir, rank=rank)
    assert (point.num_hits, point.num_false_positives) == (hits, false_positives)
    assert (point.tpir, point.fpir) == (hits / 3, false_positives / 2)
    assert (point.num_mated, point.num_non_mated, point.rank) == (3, 2, rank)
    assert point.resolved


def test_tpir_of_a_rate_that_cannot_be_resolved():
    (point,) = tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 0.4)
    assert not point.resolved
    assert all(math.isnan(value) for value in (point.tpir, point.fpir, point.threshold))
    assert point.num_hits is None
    assert point.num_false_positives is None


def test_upstream_compat_must_exceed_the_kth_top_similarity():
    # floor(2 * .5) = 1: the largest, .6, must be exceeded; then floor(.8) = 0 means the same.
    for target in (0.5, 0.4):
        (point,) = tpir_at_fpir(
            SIMILARITIES, PROBES, GALLERY, target, rule="upstream_compat", rank=3
        )
        assert (point.num_hits, point.num_false_positives) == (1, 0)
        assert 0.6 < point.threshold < 0.6 + 1e-12
        assert (point.resolved, point.rule) == (target == 0.5, "upstream_compat")


def test_open_set_scores_for_intervals():
    found = search_outcomes(SIMILARITIES, PROBES, GALLERY)
    scores = found.as_comparison_scores(rank=2)
    assert scores.mated.tolist() == [0.8, 0.6, -np.inf]
    assert scores.non_mated.tolist() == [0.6, 0.3]
    assert scores.people.tolist() == PROBES
    with pytest.raises(InvalidInputError, match="rank: expected at least 1"):
        found.as_comparison_scores(rank=0)


def test_an_open_set_needs_both_kinds_of_searches():
    closed = search_outcomes([[0.5]], [1], [1])
    with pytest.raises(EmptySetError, match="got 1 and 0"):
        tpir_of_searches(closed, 0.1)
    for metric in (cmc_of_searches, lambda found: tpir_of_searches(found, 0.1)):
        with pytest.raises(EmptySetError, match="none of 1 probes has its subject"):
            metric(search_outcomes([[0.5]], [2], [1]))


def test_input_is_checked():
    with pytest.raises(ShapeError, match=r"^similarities"):
        cmc([0.5], [1], [1])
    with pytest.raises(ShapeError, match=r"^probe_subjects"):
        cmc([[0.5]], [1, 2], [1])
    with pytest.raises(ShapeError, match=r"^gallery_subjects"):
        cmc([[0.5]], [1], [1, 2])
    with pytest.raises(EmptySetError, match=r"^similarities"):
        cmc(np.zeros((0, 3)), [], [1, 2, 3])
    with pytest.raises(NonFiniteError, match=r"\(0, 0\)"):
        tpir_at_fpir([[np.nan]], [1], [1], 0.1)
    with pytest.raises(DtypeError, match="all integers or all texts"):
        cmc([[0.5]], [1], ["1"])
    with pytest.raises(UnknownNameError, match="rule"):
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 0.5, rule="nearest")
    with pytest.raises(InvalidInputError, match=r"^targets"):
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 1.5)


@pytest.mark.parametrize(
    ("ranks", "error"),
    [([], EmptySetError), ([0], InvalidInputError), ([1.5], DtypeError), (1, DtypeError)],
)
def test_ranks_are_checked(ranks, error):
    with pytest.raises(error, match=r"^ranks"):
        cmc([[0.5]], [1], [1], ranks=ranks)


def test_searching_templates_by_hand():
    found = search_templates(
        [[3.0, 4.0], [0.0, 1.0], [5.0, 0.0]],
        [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]],
        probe_subjects=["ann", "bob", "zoe"],
        gallery_subjects=["ann", "bob", "ann"],
        block=2,
    )
    assert found.ranks.tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.top_similarities, [1.4 / np.sqrt(2), 1, 1], atol=1e-6)
    np.testing.assert_allclose(found.mated_similarities[:2], [1.4 / np.sqrt(2), 1], atol=1e-6)


def test_searching_templates_checks_subjects_and_templates():
    with pytest.raises(ShapeError, match=r"^probe_subjects"):
        search_templates(np.eye(2), np.eye(2), probe_subjects=[1], gallery_subjects=[1, 2])
    with pytest.raises(ShapeError, match=r"^gallery_subjects"):
        search_templates(np.eye(2), np.eye(2), probe_subjects=[1, 2], gallery_subjects=[1])
    with pytest.raises(ShapeError, match=r"^probe_templates"):
        search_templates(np.ones(2), np.eye(2), probe_subjects=[1, 2], gallery_subjects=[1, 2])


def test_means_over_two_galleries():
    first = tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, [0.5, 0.4])
    second = tpir_at_fpir([[0.9], [0.1], [0.2]], ["dot", "yan", "zoe"], ["dot"], [0.5, 0.4])
    mean, none = mean_tpir_over_galleries([first, second])
    assert mean.tpir == pytest.approx((1 / 3 + 1) / 2)
    assert mean.tpirs == (1 / 3, 1)
    assert (mean.target, mean.rank, mean.rule, mean.resolved) == (0.5, 1, "budget", True)
    assert math.isnan(none.tpir)
    assert not none.resolved
    (half,) = mean_tpir_over_galleries([first[:1], [replace(first[0], resolved=False)]])
    assert not half.resolved
    curves = [
        cmc(SIMILARITIES, PROBES, GALLERY, ranks=[1, 2]),
        cmc([[0.9]], [1], [1], ranks=[1, 2]),
    ]
    rates = mean_cmc_over_galleries(curves)
    np.testing.assert_allclose(rates.rates, [2 / 3, 5 / 6])
    assert rates.ranks.tolist() == [1, 2]
    assert len(rates.per_gallery) == 2


def test_means_refuse_results_that_do_not_belong_together():
    one = tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 0.5)
    for other in (
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 1.0),
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 0.5, rank=2),
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, 0.5, rule="upstream_compat"),
        tpir_at_fpir(SIMILARITIES, PROBES, GALLERY, [0.5, 1.0]),
    ):
        with pytest.raises(MismatchError, match="same"):
            mean_tpir_over_galleries([one, other])
    with pytest.raises(EmptySetError, match="per_gallery"):
        mean_tpir_over_galleries([])
    with pytest.raises(EmptySetError, match="per_gallery"):
        mean_cmc_over_galleries([])
    curves = [cmc([[0.5]], [1], [1], ranks=[1]), cmc([[0.5]], [1], [1], ranks=[5])]
    with pytest.raises(MismatchError, match="same ranks"):
        mean_cmc_over_galleries(curves)
