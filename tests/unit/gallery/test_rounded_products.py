"""Similarities that do not depend on how they are computed."""

from __future__ import annotations

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_vectors import KINDS, hard_vectors, plain_similarity, unit

from probefusion.gallery.index import rounded_products as module
from probefusion.gallery.index.rounded_products import rounded_products


@settings(deadline=None, max_examples=150)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=2),
    dim=st.sampled_from([1, 2, 17, 128, 513]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equal_to_the_exact_sum_rounded(kinds: list[str], dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = hard_vectors(kinds[0], 20, dim, rng)
    for query in (rows[0], -rows[1], hard_vectors(kinds[1], 1, dim, rng)[0]):
        expected = np.array([plain_similarity(row, query) for row in rows])
        assert rounded_products(rows, query).tobytes() == expected.tobytes()
        assert rounded_products(rows[::-1], query)[::-1].tobytes() == expected.tobytes()
        with mock.patch.object(module, "_CELLS_AT_ONCE", 3 * dim):
            assert rounded_products(rows, query).tobytes() == expected.tobytes()


def test_nearest_to_the_true_product(rng: np.random.Generator) -> None:
    rows, query = unit(rng.standard_normal((40, 96))), unit(rng.standard_normal(96))
    for row, found in zip(rows, rounded_products(rows, query), strict=True):
        exact = sum(
            Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, query, strict=True)
        )
        neighbours = [float(np.nextafter(found, np.float32(end))) for end in (-2, 2)]
        off = abs(Fraction(float(found)) - exact)
        assert all(off <= abs(Fraction(value) - exact) for value in neighbours)


def test_halfway_between_two_numbers_the_exact_sum_decides() -> None:
    half = 2.0**-25  # half the distance between float32 neighbours just above 0.5 is 2^-25
    rows = np.array(
        [[1.0, s, t] for s in (half, -half, 0.0) for t in (2.0**-60, -(2.0**-60), 0.0)], np.float32
    )
    query = np.array([0.5, 0.5, 0.5], np.float32)
    expected = np.array([plain_similarity(row, query) for row in rows])
    assert rounded_products(rows, query).tobytes() == expected.tobytes()


def test_the_same_in_both_directions(rng: np.random.Generator) -> None:
    first, second = unit(rng.standard_normal((2, 300, 64)))
    for a, b in zip(first, second, strict=True):
        assert rounded_products(a[None], b) == rounded_products(b[None], a)


def test_zeros_are_positive() -> None:
    rows = np.array([[1.0, 0.0], [-1.0, -0.0]], np.float32)
    assert not np.signbit(rounded_products(rows, np.array([0.0, 1.0], np.float32))).any()
    assert rounded_products(np.empty((0, 2), np.float32), rows[0]).shape == (0,)


def test_numbers_too_small_for_float32_products() -> None:
    rows = np.array([[1.0, 1e-30], [1e-38, 1.0]], np.float32)
    query = np.array([1e-38, 1.0], np.float32)
    assert rounded_products(rows, query) == pytest.approx([1e-30 + 1e-38, 1.0], rel=1e-6)
