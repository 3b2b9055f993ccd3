"""Errors by group: made scores with known differences, and plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.metrics import ComparisonScores, GroupedComparisons, differential_errors

QUICK = {"num_replicates": 100, "least_people": 3}


def searches(values, *, mated, non_mated, names):
    """Everybody's probe against everybody: `mated` (P,), `non_mated` (P, P), `values` (P,) positions."""
    count = len(values)
    probe, reference = np.nonzero(~np.eye(count, dtype=bool))
    values = np.asarray(values)
    return GroupedComparisons(
        scores=ComparisonScores.from_subjects(
            mated,
            np.asarray(non_mated)[probe, reference],
            mated_subjects=np.arange(count),
            non_mated_subjects=probe,
        ),
        values=names,
        mated_values=values,
        probe_values=values[probe],
        reference_values=values[reference],
    )


@pytest.fixture
def made():
    """Ten people: six of "a", four of "b". One "a" and two "b" are missed; two "b" match another "b" falsely,
    and one "a" matches a "b"."""
    values = [0] * 6 + [1] * 4
    mated = np.full(10, 0.9)
    mated[[2, 6, 7]] = 0.05
    non_mated = np.full((10, 10), 0.1)
    non_mated[8, 9] = non_mated[9, 8] = 0.8
    non_mated[0, 6] = 0.7
    return searches(values, mated=mated, non_mated=non_mated, names=("a", "b"))


def test_known_errors_are_counted_by_group(made):
    (found,) = differential_errors(made, 3 / 90, **QUICK)
    assert found.overall.num_false_accepts == 3
    assert 0.1 < found.overall.threshold <= 0.7
    a, b = found.values
    assert (a.fnmr.num_errors, a.fnmr.num_comparisons, a.fnmr.num_people) == (1, 6, 6)
    assert (b.fnmr.num_errors, b.fnmr.num_comparisons, b.fnmr.num_people) == (2, 4, 4)
    assert (a.fnmr.rate, b.fnmr.rate) == (pytest.approx(1 / 6), 0.5)
    assert a.tar == pytest.approx(5 / 6)
    assert (a.fmr_within.num_errors, a.fmr_within.num_comparisons) == (0, 30)
    assert (b.fmr_within.num_errors, b.fmr_within.num_comparisons) == (2, 12)
    assert (a.fmr_across.num_errors, a.fmr_across.num_comparisons) == (1, 24)
    assert (b.fmr_across.num_errors, b.fmr_across.num_comparisons) == (0, 24)
    assert b.fmr_within.rate == pytest.approx(1 / 6)
    assert found.unknown is None
    assert found.false_negative.highest is b
    assert found.false_negative.lowest is a
    assert found.false_negative.difference == pytest.approx(1 / 2 - 1 / 6)
    assert found.false_negative.ratio == pytest.approx(3)
    assert found.false_positive.highest is b
    assert found.false_positive.difference == pytest.approx(1 / 6)
    assert found.false_positive.ratio is None
    assert a.fnmr.low <= a.fnmr.rate <= a.fnmr.high
    assert found.false_negative.low < found.false_negative.difference < found.false_negative.high


def test_one_threshold_stands_for_all(made):
    """At a stricter rate the threshold rises above the false match across groups."""
    (found,) = differential_errors(made, 2 / 90, **QUICK)
    assert found.overall.threshold > 0.7
    a, b = found.values
    assert (a.fmr_across.num_errors, b.fmr_within.num_errors) == (0, 2)


def test_people_without_a_value_are_told_apart(made):
    values = np.where(np.arange(10) == 8, -1, [0] * 6 + [1] * 4)
    probe, reference = np.nonzero(~np.eye(10, dtype=bool))
    grouped = GroupedComparisons(
        scores=made.scores,
        values=("a", "b"),
        mated_values=values,
        probe_values=values[probe],
        reference_values=values[reference],
    )
    (found,) = differential_errors(grouped, 3 / 90, **QUICK)
    a, b = found.values
    assert found.overall.num_mated == 10
    assert (b.fnmr.num_errors, b.fnmr.num_comparisons) == (2, 3)
    assert (b.fmr_within.num_errors, b.fmr_within.num_comparisons) == (0, 6)
    assert (a.num_reference_unknown, b.num_reference_unknown) == (6, 3)
    assert found.unknown.value == ""
    assert found.unknown.fnmr.num_comparisons == 1
    assert found.unknown.num_reference_unknown == 9
    total = sum(
        entry.fmr_within.num_comparisons + entry.fmr_across.num_comparisons
        + entry.num_reference_unknown
        for entry in (a, b, found.unknown)
    )  # fmt: skip
    assert total == 90


def test_one_value_has_no_difference(made):
    everybody = np.zeros(10, int)
    grouped = GroupedComparisons(
        scores=made.scores,
        values=("a",),
        mated_values=everybody,
        probe_values=np.zeros(90, int),
        reference_values=np.zeros(90, int),
    )
    (found,) = differential_errors(grouped, 3 / 90, **QUICK)
    (only,) = found.values
    assert only.fnmr.rate == pytest.approx(1 - found.overall.tar)
    assert only.fmr_within.num_errors == 3
    assert only.fmr_across.num_comparisons == 0
    assert math.isnan(only.fmr_across.rate)
    assert found.false_negative is None
    assert found.false_positive is None


def test_values_of_too_few_people_are_marked_and_not_compared():
    values = [0] * 4 + [1] * 4 + [2]
    mated = np.full(9, 0.9)
    mated[[0, 8]] = 0.1
    grouped = searches(values, mated=mated, non_mated=np.full((9, 9), 0.2), names=("a", "b", "c"))
    (found,) = differential_errors(grouped, 0.5, **QUICK)
    assert [entry.is_few for entry in found.values] == [False, False, True]
    few = found.values[2]
    assert few.fnmr.rate == 1
    assert (few.fnmr.num_people, few.fmr_within.num_comparisons) == (1, 0)
    assert math.isnan(few.fnmr.low)
    assert found.false_negative.highest.value == "a"
    assert found.false_negative.lowest.value == "b"
    (usual,) = differential_errors(grouped, 0.5, num_replicates=100)
    assert all(entry.is_few for entry in usual.values)
    assert usual.false_negative is None


def test_equal_values_lie_nothing_apart():
    grouped = searches(
        [0, 0, 0, 1, 1, 1], mated=np.full(6, 0.9), non_mated=np.zeros((6, 6)), names=("a", "b")
    )
    (found,) = differential_errors(grouped, 0.1, **QUICK)
    assert found.false_negative.difference == 0
    assert found.false_negative.highest.value != found.false_negative.lowest.value
    assert found.false_negative.ratio is None


def test_unresolved_rates_have_no_values(made):
    strict, loose = differential_errors(made, [1e-4, 0.1], **QUICK)
    assert not strict.overall.resolved
    assert (strict.values, strict.unknown, strict.false_negative) == ((), None, None)
    assert len(loose.values) == 2


def test_people_count_alike_where_asked():
    """One person with four probes that are missed, one with a single one that is not."""
    grouped = GroupedComparisons(
        scores=ComparisonScores.from_subjects(
            [0.1, 0.1, 0.1, 0.1, 0.9, 0.9],
            np.linspace(0, 0.5, 20),
            mated_subjects=[1, 1, 1, 1, 2, 3],
            non_mated_subjects=[1, 2] * 10,
        ),
        values=("a", "b"),
        mated_values=np.array([0, 0, 0, 0, 0, 1]),
        probe_values=np.zeros(20, int),
        reference_values=np.zeros(20, int),
    )
    (by_comparison,) = differential_errors(grouped, 0.1, **QUICK)
    (by_person,) = differential_errors(grouped, 0.1, average_per_person=True, **QUICK)
    assert by_comparison.values[0].fnmr.rate == pytest.approx(0.8)
    assert by_person.values[0].fnmr.rate == pytest.approx(0.5)
    assert by_person.values[0].fnmr.num_errors == 4
    assert by_person.values[0].fmr_within == by_comparison.values[0].fmr_within


@pytest.mark.parametrize("seed", range(4))
def test_against_plain_counting(seed):
    rng = np.random.default_rng(seed)
    people, sets = 14, 3
    group = rng.integers(-1, 3, people)
    probes = np.repeat(np.arange(people), sets)
    similarity = rng.normal(0, 1, (len(probes), people)).astype(np.float32)
    similarity[np.arange(len(probes)), probes] += 2
    probe, reference = np.nonzero(probes[:, None] != np.arange(people))
    grouped = GroupedComparisons(
        scores=ComparisonScores.from_subjects(
            similarity[np.arange(len(probes)), probes],
            similarity[probe, reference],
            mated_subjects=probes,
            non_mated_subjects=probes[probe],
        ),
        values=("x", "y", "z"),
        mated_values=group[probes],
        probe_values=group[probes][probe],
        reference_values=group[reference],
    )
    for found in differential_errors(grouped, [0.01, 0.05, 0.3], **QUICK):
        limit = np.float32(found.overall.threshold)
        for position, entry in enumerate(found.values):
            missed = mated = 0
            counts = {"within": [0, 0], "across": [0, 0], "unknown": [0, 0]}
            for row, person in enumerate(probes):
                if group[person] != position:
                    continue
                for other in range(people):
                    score = similarity[row, other]
                    if other == person:
                        mated += 1
                        missed += score < limit
                        continue
                    kind = "within" if group[other] == position else "across"
                    kind = "unknown" if group[other] < 0 else kind
                    counts[kind][0] += score >= limit
                    counts[kind][1] += 1
            assert (entry.fnmr.num_errors, entry.fnmr.num_comparisons) == (missed, mated)
            for kind, rate in (("within", entry.fmr_within), ("across", entry.fmr_across)):
                assert [rate.num_errors, rate.num_comparisons] == counts[kind]
            assert entry.num_reference_unknown == counts["unknown"][1]


def test_intervals_are_those_of_people_drawn_anew(made):
    """The same draws, the counts repeated one by one."""
    from probefusion.metrics.resampling import draw_people

    (found,) = differential_errors(made, 3 / 90, seed=5, **QUICK)
    weights = draw_people(10, num_replicates=100, seed=5).weights
    missed = np.isin(np.arange(10), [2, 6, 7])
    rates = []
    for drawn in weights:
        of_b = drawn[6:]
        if of_b.sum():
            rates.append((of_b * missed[6:]).sum() / of_b.sum())
    expected = np.quantile(rates, [0.025, 0.975])
    assert (found.values[1].fnmr.low, found.values[1].fnmr.high) == pytest.approx(tuple(expected))


def test_what_does_not_fit_is_refused(made):
    given = {
        "scores": made.scores,
        "values": ("a", "b"),
        "mated_values": made.mated_values,
        "probe_values": made.probe_values,
        "reference_values": made.reference_values,
    }
    with pytest.raises(InvalidInputError, match="values: expected each once"):
        GroupedComparisons(**{**given, "values": ("a", "a")})
    with pytest.raises(InvalidInputError, match="mated_values: expected positions below 1, got 1"):
        GroupedComparisons(**{**given, "values": ("a",)})
    with pytest.raises(ShapeError, match=r"reference_values: expected \(90,\), got \(3,\)"):
        GroupedComparisons(**{**given, "reference_values": np.zeros(3, int)})
    with pytest.raises(InvalidInputError, match="targets"):
        differential_errors(made, 2.0)
