from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probefusion.fusion.sums import set_blocks, set_sums


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    clusters=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
def test_equals_the_sum_set_by_set(sizes, clusters, seed) -> None:
    rng = np.random.default_rng(seed)
    borders = np.concatenate([[0], np.cumsum(sizes)])
    weights = rng.random((borders[-1], clusters))
    values = rng.standard_normal((borders[-1], 7)).astype(np.float32)
    expected = [weights[a:b].T @ values[a:b] for a, b in itertools.pairwise(borders)]
    found = set_sums(weights, values, borders)
    assert found.dtype == np.float64
    assert np.abs(found - np.stack(expected)).max() < 1e-12


def test_a_set_without_images_is_zero() -> None:
    found = set_sums(np.ones((2, 1)), np.ones((2, 3), np.float32), np.array([0, 0, 2, 2]))
    assert found[:, 0, 0].tolist() == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_blocks_cover_every_row_once(size) -> None:
    borders = np.array([5, 6, 9, 20, 21, 40])
    rows = []
    for start, stop, first, inside in set_blocks(borders, size):
        assert inside[0] == 0
        assert inside[-1] == stop - start <= size
        for place, (a, b) in enumerate(itertools.pairwise(inside + start)):
            assert borders[first + place] <= a < b <= borders[first + place + 1]
            rows += range(a, b)
    assert rows == list(range(5, 40))
