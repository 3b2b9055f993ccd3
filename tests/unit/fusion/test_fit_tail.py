"""The tail of a calibration is fitted to all pairs; tails of known shape are found again."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.fusion.fit_tail import Events, Moments, Sets, exceedances, fit_tail

DIM = 6


def made_sets(rng, num_people):
    rows = rng.standard_normal((num_people, DIM))
    return Sets(
        vectors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
        num_images=rng.choice([1, 4], num_people),
        kinds=np.zeros(num_people, np.int64),
        populations=np.zeros(num_people, np.int64),
        people=np.arange(num_people) // 2,
        individuals=np.arange(num_people),
        media=np.full(num_people, -1),
    )


@pytest.fixture(scope="module")
def moments():
    size = 3
    location, log_variance = np.zeros((size, size)), np.zeros((size, size))
    location[0, 0], log_variance[0, 0] = 0.05, np.log(0.04)
    return Moments(location=location, log_variance=log_variance)


def test_each_pair_above_the_level_is_found_once(moments) -> None:
    """Over several blocks of rows; neither relatives nor a set with itself count, nor a pair twice."""
    rng = np.random.default_rng(0)
    sets = made_sets(rng, 900)
    terms = np.column_stack([np.ones(900), rng.random(900), np.log2(sets.num_images) / 4])
    one, four = (np.flatnonzero(sets.num_images == size) for size in (1, 4))
    pairs = [(one, one), (one, four), (four, four)]
    found = exceedances(sets, terms, moments, pairs, 1.5, few=10)
    z = (sets.vectors @ sets.vectors.T - 0.05) / 0.2
    apart = sets.people[:, None] != sets.people[None]
    expected = np.triu((z > 1.5) & apart, 1)
    assert len(found.excesses) == expected.sum() > 1_000
    assert np.sort(found.excesses) == pytest.approx(np.sort(z[expected] - 1.5))
    shares = [
        (expected | expected.T)[np.ix_(rows, others)].sum() / apart[np.ix_(rows, others)].sum()
        for rows, others in pairs
    ]
    assert found.weights.sum() == pytest.approx(np.mean(shares))  # each two kinds count alike


@pytest.mark.parametrize("shape", [-0.15, 0.1])
def test_rate_excess_and_shape_of_a_made_tail_are_found(shape) -> None:
    """A share of .004 above the level, or e times as many where the second term is 1; excesses twice as far there."""
    rng = np.random.default_rng(1)
    wide = rng.random(400_000) < 0.5
    rate = 0.004 * np.where(wide, np.e, 1.0)
    is_event = rng.random(400_000) < rate
    terms = np.column_stack([np.ones(400_000), wide, np.zeros((400_000, 3))])
    drawn = (rng.random(is_event.sum()) ** -shape - 1) / shape
    excesses = drawn * np.where(wide[is_event], 0.6, 0.3)
    events = Events(
        terms=terms[is_event], excesses=excesses, weights=np.full(len(excesses), 1 / 400_000)
    )
    sample = rng.choice(400_000, 20_000, replace=False)
    tail = fit_tail(terms[sample], np.full(20_000, 1 / 20_000), events)
    assert tail.log_rate[:2] == pytest.approx(
        [np.log(0.004), 1.0], abs=0.2
    )  # a ridge holds it back
    assert tail.log_excess[:2] == pytest.approx([np.log(0.3), np.log(2)], abs=0.12)
    assert tail.shape == pytest.approx(shape, abs=0.07)
