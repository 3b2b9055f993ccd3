"""Tails of similarities, rates of searches, and what data can support."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import EmptySetError, ShapeError
from probefusion.metrics.tails import is_supported, pareto_shape, rate_per_comparison


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.2])
def test_the_shape_of_a_made_tail_is_found(shape) -> None:
    uniform = np.random.default_rng(1).random(50_000)
    made = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
    assert pareto_shape(made * 0.03) == pytest.approx(shape, abs=0.03)


def test_weights_count_excesses_as_so_many() -> None:
    """Half of one tail and half of another, weighted so that only the first counts; equal weights change little."""
    uniform = np.random.default_rng(2).random((2, 20_000))
    first, second = (uniform[0] ** 0.2 - 1) / -0.2, (uniform[1] ** -0.2 - 1) / 0.2
    both = np.concatenate([first, second])
    weights = np.repeat([1.0, 0.0], 20_000)
    assert pareto_shape(both, weights=weights) == pytest.approx(-0.2, abs=0.04)
    assert pareto_shape(first, weights=np.full(20_000, 3.0)) == pytest.approx(
        pareto_shape(first), abs=1e-3
    )
    with pytest.raises(ShapeError, match="expected 40000, one for each excess, got 2"):
        pareto_shape(both, weights=[1.0, 1.0])


def test_few_and_equal_excesses() -> None:
    assert pareto_shape([0.1, 0.1, 0.1]) == pytest.approx(-0.3)
    with pytest.raises(EmptySetError, match="at least 2"):
        pareto_shape([0.1])


def test_a_search_errs_when_any_comparison_does() -> None:
    rate = rate_per_comparison(0.03, 500)
    assert 1 - (1 - rate) ** 500 == pytest.approx(0.03)
    assert rate_per_comparison(0.03, 1) == pytest.approx(0.03)


def test_thirty_expected_errors_support_a_rate() -> None:
    assert is_supported(1e-3, 30_000)
    assert not is_supported(1e-3, 29_000)
