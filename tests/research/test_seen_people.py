"""People whom an embedder knows beside others."""

from __future__ import annotations

import numpy as np
import pytest
from research.screening.seen_people import RATES, compare


def templates(rng: np.random.Generator, count: int, pull: float) -> np.ndarray:
    """Unit vectors, the more alike the stronger they are pulled to one side."""
    rows = rng.standard_normal((count, 32))
    rows[:, 0] += pull
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("pull", "least", "most"), [(0.0, 0.5, 2.0), (2.0, 2.0, np.inf)])
def test_the_rate_of_the_seen_says_how_alike_they_are(pull, least, most) -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([templates(rng, 150, pull), templates(rng, 120, 0)])
    found = compare(vectors, np.arange(270), np.arange(270) < 150, rng, num_draws=60)
    assert [item.rate for item in found] == list(RATES)
    assert least < found[0].ratio < most
    assert found[0].low <= found[0].ratio <= found[0].high
    assert (found[0].low > 1) == (pull > 0)


def test_relatives_are_not_compared() -> None:
    """Everybody is there twice; without families half of the likest pairs are of one person."""
    rng = np.random.default_rng(1)
    once = templates(rng, 60, 0)
    vectors = np.concatenate([once, once])
    (first, _) = compare(vectors, np.arange(120) % 60, np.arange(120) % 2 == 0, rng, num_draws=10)
    assert first.seen < 0.9
    assert first.unseen < 0.9
