"""Calibrations of made score distributions whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probefusion.errors import (
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    FuserMismatchError,
    IntegrityError,
    OutputExistsError,
)
from probefusion.evaluation.search_evidence import Searches, find_correction
from probefusion.evaluation.threshold_evidence import make_calibration
from probefusion.fusion.calibration import CalibrationSource
from probefusion.fusion.calibration_files import read_calibration, write_calibration
from probefusion.fusion.decisions import Side, decide, find_calibration
from probefusion.fusion.fit_non_mated import Sets

DIM = 24
SIZES = (1, 4)


def drawn_vectors(rng, count, *, is_poor):
    """Unit vectors; those of poor sets lie close to one direction, whoever they are of."""
    rows = rng.standard_normal((count, DIM))
    rows[:, 0] = rng.normal(2.5 if is_poor else 0.0, 1.0, count)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn_sets(rng, num_people):
    parts = [
        (drawn_vectors(rng, num_people, is_poor=poor), np.full(num_people, size), poor)
        for poor in (False, True)
        for size in SIZES
    ]
    counts = np.concatenate([sizes for _, sizes, _ in parts])
    return Sets(
        vectors=np.concatenate([rows for rows, _, _ in parts]),
        num_images=counts,
        kinds=np.concatenate([np.full(num_people, int(poor)) for _, _, poor in parts]),
        populations=np.zeros(len(counts), dtype=np.int64),
        people=np.tile(np.arange(num_people), len(parts)),
        individuals=np.tile(np.arange(num_people), len(parts)),
        media=np.full(len(counts), -1),
    )


@pytest.fixture(scope="module")
def record():
    return make_calibration(
        drawn_sets(np.random.default_rng(7), 300),
        [False, True],
        embedder="net@1",
        fuser="mean@1",
        protocol="made",
        sources=[CalibrationSource(name="made", num_people=300, num_sets=1200)],
        rates=(1e-2, 1e-3, 1e-5),
    )


@pytest.mark.parametrize("kinds", [(False, False), (False, True), (True, True)])
def test_a_stated_rate_is_reached_by_others_of_either_look(record, kinds) -> None:
    """120,000 new pairs of each kind: one threshold for all would be wrong by several times."""
    rng = np.random.default_rng(11)
    model = record.model.model()
    errors, trials = np.zeros(2), 0
    for _ in range(3):
        sides = [drawn_vectors(rng, 200, is_poor=poor) for poor in kinds]
        terms = [model.terms(rows, np.ones(200)) for rows in sides]
        similarities = sides[0] @ sides[1].T
        found = model.thresholds(terms[0], terms[1], (1e-2, 1e-3))
        errors += [(similarities >= limit).sum() for limit in found]
        trials += similarities.size
    assert errors[0] / trials == pytest.approx(1e-2, rel=0.3)
    assert errors[1] / trials == pytest.approx(1e-3, rel=0.7)


def test_what_is_stored_was_measured_on_others_and_covers_the_truth(record) -> None:
    """By cross-fitting; at 1e-5 no stratum has the 3,000,000 comparisons that it needs."""
    stated = {rate.stated for stratum in record.strata for rate in stratum.rates}
    assert stated == {1e-2, 1e-3}
    inside = [
        rate.low <= rate.stated <= rate.high for stratum in record.strata for rate in stratum.rates
    ]
    assert len(inside) >= 10
    assert np.mean(inside) > 0.7
    assert {stratum.looks for stratum in record.strata} == {
        ("clear", "clear"), ("clear", "poor"), ("poor", "poor"),
    }  # fmt: skip
    (searches,) = record.searches  # a quarter of the people is searched at a time
    assert searches.gallery_size == 50
    assert searches.rates[0].stated == 0.1
    assert searches.rates[0].achieved == pytest.approx(0.1, rel=0.35)


def test_rows_and_columns_are_alike_and_pairs_are_the_diagonal(record) -> None:
    rng = np.random.default_rng(3)
    model = record.model.model()
    first = model.terms(drawn_vectors(rng, 5, is_poor=False), [1, 2, 3, 4, 100])
    second = model.terms(drawn_vectors(rng, 5, is_poor=True), np.ones(5))
    (both,) = model.thresholds(first, second, [1e-3])
    (turned,) = model.thresholds(second, first, [1e-3])
    (paired,) = model.thresholds(first, second, [1e-3], paired=True)
    assert both == pytest.approx(turned.T, abs=1e-12)
    assert paired == pytest.approx(np.diag(both), abs=1e-12)
    lower, higher = model.thresholds(first, second, [1e-2, 1e-4])
    assert (lower < both).all()
    assert (both < higher).all()


def side(name, rows, count=1):
    return Side(name=name, vectors=rows.astype(np.float32), num_images=np.full(len(rows), count))


def test_decisions_say_what_they_rest_on_or_why_there_is_none(record) -> None:
    rows = drawn_vectors(np.random.default_rng(5), 150, is_poor=True)
    found = decide(record, side("A", rows, 4), side("B", rows[::-1]), false_match_rate=1e-3)
    threshold = found[0].threshold
    assert threshold is not None
    assert threshold.low < threshold.high
    assert threshold.num_people > 100
    assert "comparisons of" in threshold.measured_on
    none = decide(record, side("A", rows[:1]), side("B", rows[1:2]), false_match_rate=1e-5)[0]
    assert none.threshold is None
    assert "needs 3,000,000 comparisons to expect 30 errors" in (none.why_none or "")
    many = decide(record, side("A", rows[:1], 300), side("B", rows[1:2]), false_match_rate=1e-3)[0]
    assert "A: of 300 images, the calibration saw at most 4" in many.warnings
    strange = np.zeros((1, DIM))
    strange[0, 0] = 1.0
    far = decide(record, side("A", -strange), side("B", rows[:1]), false_match_rate=1e-3)[0]
    assert any("unlike every template" in warning for warning in far.warnings)


def test_where_too_few_were_compared_the_nearest_sizes_decide_and_it_is_said(record) -> None:
    rows = drawn_vectors(np.random.default_rng(5), 2, is_poor=True)
    few = [
        replace(each, num_comparisons=50) if each.num_images == (4, 4) else each
        for each in record.strata
    ]
    sides = side("A", rows[:1], 4), side("B", rows[1:], 4)
    (found,) = decide(replace(record, strata=tuple(few)), *sides, false_match_rate=1e-3)
    assert found.threshold is not None
    assert "it was measured with sets of 1 and 4" in found.warnings[-1]
    (own,) = decide(record, side("A", rows[:1], 4), side("B", rows[1:]), false_match_rate=1e-3)
    assert found.threshold.num_non_mated == own.threshold.num_non_mated
    assert own.warnings == ()
    none = [replace(each, num_comparisons=50) for each in record.strata]
    (left,) = decide(replace(record, strata=tuple(none)), *sides, false_match_rate=1e-3)
    assert left.threshold is None
    assert "the calibration has 50" in (left.why_none or "")


def test_searches_are_decided_at_their_own_rate(record) -> None:
    rng = np.random.default_rng(9)
    gallery = drawn_vectors(rng, 100, is_poor=False)
    hits = 0
    for _ in range(200):
        probe = np.repeat(drawn_vectors(rng, 1, is_poor=True), 100, axis=0)
        found = decide(
            record,
            side("A", probe),
            side("B", gallery),
            false_match_rate=0.5,
            false_positive_rate=0.1,
        )
        limits = np.array([each.threshold.similarity for each in found])
        hits += bool(((probe * gallery).sum(axis=1) >= limits).any())
    assert 8 <= hits <= 36  # 20 expected
    assert found[0].threshold.gallery_size == 100
    more = drawn_vectors(rng, 200, is_poor=False)
    found = decide(
        record, side("A", more), side("B", more), false_match_rate=0.1, false_positive_rate=0.1
    )
    assert found[0].threshold.gallery_size == 200
    assert "measured in galleries of 50:" in found[0].threshold.measured_on
    large = drawn_vectors(rng, 201, is_poor=False)
    none = decide(
        record, side("A", large), side("B", large), false_match_rate=0.1, false_positive_rate=0.1
    )[0]
    assert none.threshold is None
    assert (
        none.why_none
        == "the gallery has 201 people; the calibration supports 5 to 200, measured among 50 to 50"
    )


def test_files(record, tmp_path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(record, path)
    assert read_calibration(path) == record
    with pytest.raises(OutputExistsError):
        write_calibration(record, path)
    text = path.read_text()
    path.write_text(text.replace('"level": ', '"level": 1'))
    with pytest.raises(IntegrityError, match="Calibrate again"):
        read_calibration(path)
    path.write_text("[]")
    with pytest.raises(FileFormatError):
        read_calibration(path)


def test_another_fuser_or_embedder_is_refused(record) -> None:
    assert find_calibration(record, None, "mean@1", "net@1") is record
    with pytest.raises(
        FuserMismatchError, match=r"made for templates of mean@1, got those of other@1"
    ):
        find_calibration(record, None, "other@1", "net@1")
    for embedder in ("net@2", None):
        with pytest.raises(EmbedderMismatchError, match=r"made for embeddings of net@1"):
            find_calibration(record, None, "mean@1", embedder)
    assert find_calibration(None, None, "mean@1", "net@1") is None


def test_of_the_fewest_people_there_is_a_model_and_no_rate_of_searches() -> None:
    found = make_calibration(
        drawn_sets(np.random.default_rng(0), 50),
        [False, True],
        embedder="net@1",
        fuser="mean@1",
        protocol="made",
        sources=[],
        rates=(1e-2,),
    )
    assert found.searches == ()
    assert found.search_correction is None
    assert found.gallery_sizes is None
    assert -0.3 <= found.model.shape <= 0.3


def test_too_few_people_are_refused() -> None:
    with pytest.raises(EmptySetError, match="at least 50 people who are not related, got 20"):
        make_calibration(
            drawn_sets(np.random.default_rng(0), 20),
            [False, True],
            embedder="net@1",
            fuser="mean@1",
            protocol="made",
            sources=[],
            rates=(1e-2,),
        )


def test_rates_and_thresholds_are_one_function_turned_around(record) -> None:
    """Also below the tail, and beyond its end, where a similarity is as rare as can be."""
    rng = np.random.default_rng(4)
    model = record.model.model()
    first = model.terms(drawn_vectors(rng, 6, is_poor=False), np.ones(6))
    second = model.terms(drawn_vectors(rng, 4, is_poor=True), np.ones(4))
    for rate in (0.1, 1e-2, 1e-4):
        (limits,) = model.thresholds(first, second, [rate])
        assert model.log_rates(first, second, limits) == pytest.approx(np.log(rate), abs=1e-6)
    assert (model.log_rates(first, second, np.full((6, 4), 5.0)) < -20).all()


def test_a_correction_leads_to_the_stated_share_of_searches() -> None:
    """Made log rates of independent comparisons that are twice as frequent as a model says."""
    rng = np.random.default_rng(6)
    searched = [
        Searches(
            population=population,
            gallery_size=size,
            log_rates=np.log(rng.exponential(1 / (factor * size), 4_000)),
            people=np.arange(4_000),
        )
        for population, factor in ((0, 1.0), (1, 4.0))
        for size in (100, 200, 500)
        for _ in range(4)
    ]
    correction = find_correction(searched)
    assert correction is not None
    assert correction.offset == pytest.approx(-np.log(2), abs=0.1)  # the middle of both populations
    assert correction.slope == pytest.approx(0, abs=0.03)
    asked = correction.asked(0.03, 200)
    shares = [np.mean(np.exp(each.log_rates) <= asked) for each in searched]
    assert np.exp(np.mean(np.log(shares))) == pytest.approx(0.03, rel=0.15)
    assert find_correction([]) is None


def test_files_of_the_first_version_are_read_and_corrected_as_they_were(record, tmp_path) -> None:
    old = replace(record, search_correction=None, format_version=1)
    path = tmp_path / "old.json"
    write_calibration(old, path)
    read = read_calibration(path)
    assert read == old
    rows = drawn_vectors(np.random.default_rng(5), 100, is_poor=False)
    sides = side("A", rows), side("B", rows[::-1])
    found = decide(read, *sides, false_match_rate=0.1, false_positive_rate=0.1)[0]
    assert found.threshold is not None
    assert found.threshold.measured_size == 50
