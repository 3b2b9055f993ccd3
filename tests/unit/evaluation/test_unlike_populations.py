"""What is stated of populations that were measured, and of such as were not: made ones, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.evaluation.rate_tallies import ALL, REPLICATES, Tally
from probefusion.evaluation.threshold_evidence import make_calibration
from probefusion.evaluation.unlike_populations import bound_elsewhere, rates_elsewhere
from probefusion.fusion.calibration import CalibrationSource
from probefusion.fusion.decisions import MeasuredThreshold, Side, decide
from probefusion.fusion.fit_non_mated import Sets

DIM = 24
NUM_PEOPLE = 90
ALIKE = (0.4, 1.0, 1.6, 0.8)
"""How far the people of each population lie from the others, all in one direction of its own."""


def drawn(rng, count, direction, alike, *, is_poor):
    rows = rng.standard_normal((count, DIM))
    rows += alike * direction
    rows[:, 0] += 2.5 * is_poor
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def direction_of(rng):
    found = rng.standard_normal(DIM)
    found[0] = 0
    return found / np.linalg.norm(found)


def made_sets(rng, alike):
    parts = []
    for population, far in enumerate(alike):
        direction = direction_of(rng)
        for is_poor in (False, True):
            rows = drawn(rng, NUM_PEOPLE, direction, far, is_poor=is_poor)
            parts.append((population, is_poor, rows))
    places = np.arange(NUM_PEOPLE)
    people = np.concatenate([NUM_PEOPLE * population + places for population, _, _ in parts])
    return Sets(
        vectors=np.concatenate([rows for _, _, rows in parts]),
        num_images=np.ones(len(people), dtype=np.int64),
        kinds=np.repeat(np.arange(len(parts)), NUM_PEOPLE),
        populations=np.repeat([population for population, _, _ in parts], NUM_PEOPLE),
        people=people,
        individuals=people,
        media=np.full(len(people), -1),
    )


def calibrated(alike, seed=0):
    return make_calibration(
        made_sets(np.random.default_rng(seed), alike),
        [False, True] * len(alike),
        embedder="net@1",
        fuser="mean@1",
        protocol="made",
        sources=[
            CalibrationSource(name=str(far), num_people=NUM_PEOPLE, num_sets=2 * NUM_PEOPLE)
            for far in alike
        ],
        rates=(1e-2,),
    )


@pytest.fixture(scope="module")
def record():
    return calibrated(ALIKE)


def achieved(record, vectors):
    """The share of pairs that are accepted at 0.01, and the mean bounds that were stated."""
    first, second = np.triu_indices(len(vectors), 1)
    sides = [
        Side(name=name, vectors=vectors[part], num_images=np.ones(len(part), dtype=np.int64))
        for name, part in (("A", first), ("B", second))
    ]
    found = [each.threshold for each in decide(record, *sides, false_match_rate=1e-2)]
    assert all(isinstance(each, MeasuredThreshold) for each in found)
    similarities = np.einsum("pd,pd->p", *(side.vectors for side in sides))
    rate = float((similarities >= [each.similarity for each in found]).mean())
    bounds = np.mean([[each.low, each.high, each.elsewhere] for each in found], axis=0)
    return rate, *bounds


def test_the_interval_holds_for_new_people_of_every_population_measured(record) -> None:
    rng = np.random.default_rng(0)  # the directions of the populations, as they were drawn
    for far in ALIKE:
        direction = direction_of(rng)
        for is_poor in (False, True):
            drawn(rng, NUM_PEOPLE, direction, far, is_poor=is_poor)
        others = np.random.default_rng(5)
        for is_poor in (False, True):
            rows = drawn(others, 120, direction, far, is_poor=is_poor)
            rate, low, high, elsewhere = achieved(record, rows)
            assert low <= rate <= high
            assert high <= elsewhere


def test_a_population_that_was_not_measured_stays_below_the_bound(record) -> None:
    """One as far off as the farthest is accepted more often than stated of those measured."""
    rng = np.random.default_rng(77)
    rows = drawn(rng, 120, direction_of(rng), 1.6, is_poor=False)
    rate, _, _, elsewhere = achieved(record, rows)
    assert 0.015 < rate <= elsewhere


def test_of_few_populations_nothing_is_known_of_others() -> None:
    few = calibrated(ALIKE[:2])
    rates = [rate for stratum in few.strata for rate in stratum.rates]
    assert rates
    assert all(rate.elsewhere is None for rate in rates)
    rows = drawn(np.random.default_rng(1), 2, np.zeros(DIM), 0.0, is_poor=False)
    one = np.ones(1, dtype=np.int64)
    sides = [Side(name="", vectors=row[None], num_images=one) for row in rows]
    (found,) = decide(few, *sides, false_match_rate=1e-2)
    assert found.threshold is not None
    assert found.threshold.elsewhere_in_words == "among people unlike those measured: not known"


def tally(errors, trials):
    found = Tally()
    found.add(
        np.full(1 + REPLICATES, float(errors)), np.full(1 + REPLICATES, float(trials)), np.arange(3)
    )
    return found


def test_the_bound_is_made_of_what_each_population_came_to_when_left_out() -> None:
    """Four populations; the others of each came to 0.02 where 0.01 was stated, which the correction undoes."""
    stratum = (0, 1, 0, 1)
    clean = (False, False)
    others = {((number, clean), *stratum, 0.01): tally(200, 10_000) for number in range(4)}
    came_to = (100, 200, 400, 800)
    left_out = {
        ((number, clean), *stratum, 0.01): tally(errors, 10_000)
        for number, errors in enumerate(came_to)
    }
    left_out[(ALL, *stratum, 0.01)] = tally(sum(came_to), 40_000)
    deviations = np.log((np.array(came_to) + 0.5) / 200.5)
    bound = np.mean(deviations) + 2.353 * np.std(deviations, ddof=1) * np.sqrt(1.25)
    assert bound_elsewhere(deviations.tolist()) == pytest.approx(bound)
    found = rates_elsewhere(left_out, others)
    assert found == {(*stratum, 0.01): pytest.approx(0.01 * np.exp(bound))}
    two = {key: value for key, value in left_out.items() if key[0] != ALL and key[0][0] < 2}
    assert rates_elsewhere(two, others) == {}


def test_a_population_of_few_comparisons_counts_as_in_all_strata_together() -> None:
    clean = (False, False)
    strata = (0, 1, 0, 1), (0, 4, 0, 4)
    left_out = {
        ((number, clean), *stratum, 0.01): tally(errors, 10_000)
        for number, errors in enumerate((50, 100, 200))
        for stratum in strata
    }
    left_out[((2, clean), *strata[1], 0.01)] = tally(
        0, 500
    )  # 5 errors expected: says nothing by itself
    found = rates_elsewhere(left_out, {})
    whole = np.log([100.5 / 200.5, 200.5 / 200.5, 200.5 / 105.5])
    own = np.log([50.5 / 100.5, 100.5 / 100.5])
    wanted = bound_elsewhere([*own, whole[2]])
    assert found[(*strata[1], 0.01)] == pytest.approx(0.01 * np.exp(wanted))


def test_the_bound_of_many_equal_ones_is_theirs() -> None:
    assert bound_elsewhere([0.5] * 20) == pytest.approx(0.5)
    spread = np.random.default_rng(0).standard_normal(400).tolist()
    assert bound_elsewhere(spread) == pytest.approx(1.645, abs=0.15)
