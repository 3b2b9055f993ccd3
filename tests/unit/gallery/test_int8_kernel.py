"""The bounds that make the kernels exact, and the products of whole numbers that they rest on."""

from __future__ import annotations

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_vectors import KINDS, hard_vectors, plain_similarity

from probefusion.gallery.index.float32_kernel import Float32Product
from probefusion.gallery.index.int8_kernel import Int8Product, Int8Rows, import_numkong, quantise

numkong = pytest.importorskip("numkong")


@pytest.mark.parametrize("dim", [1, 3, 16, 31, 64, 65, 127, 512, 1000, 65_536])
@pytest.mark.parametrize("num_queries", [1, 2, 17, 64])
def test_products_of_whole_numbers_are_exact(
    dim: int, num_queries: int, rng: np.random.Generator
) -> None:
    rows = rng.integers(-127, 128, (70 if dim < 2000 else 5, dim), dtype=np.int8)
    queries = rng.integers(-127, 128, (num_queries, dim), dtype=np.int8)
    rows[:2], queries[0] = [[127], [-127]], 127  # the largest sums
    expected = rows.astype(np.int64) @ queries.T.astype(np.int64)
    packed = np.asarray(numkong.dots_packed(rows, numkong.dots_pack(queries)))
    assert np.array_equal(packed, expected)
    assert np.array_equal(np.asarray(numkong.cdist(queries, rows, "dot")).T, expected)


@settings(deadline=None, max_examples=100)
@given(
    kind=st.sampled_from(KINDS),
    dim=st.sampled_from([1, 2, 17, 64, 300]),
    seed=st.integers(0, 2**32 - 1),
)
def test_residuals_are_no_less_than_what_is_left(kind: str, dim: int, seed: int) -> None:
    rows = hard_vectors(kind, 3, dim, np.random.default_rng(seed))
    found = quantise(rows)
    assert np.abs(found.codes.astype(int)).max() <= 127
    for row, codes, scale, residual in zip(
        rows, found.codes, found.scales, found.residuals, strict=True
    ):
        left = [
            Fraction(float(value)) - Fraction(float(scale)) * int(code)
            for value, code in zip(row, codes, strict=True)
        ]
        squares = sum(part * part for part in left)
        assert squares <= Fraction(float(residual)) ** 2
        assert float(residual) ** 2 <= float(squares) * 1.001 + 1e-12  # and hardly more


@settings(deadline=None, max_examples=150)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=2),
    dim=st.sampled_from([1, 2, 17, 64, 300]),
    num_queries=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_similarity_is_outside_its_bounds(
    kinds: list[str], dim: int, num_queries: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = hard_vectors(kinds[0], 12, dim, rng)
    queries = np.concatenate([rows[:1], -rows[1:2], hard_vectors(kinds[1], 1, dim, rng)])[
        :num_queries
    ]
    reported = np.array(
        [[plain_similarity(row, query) for query in queries] for row in rows], np.float64
    )
    for product in (Float32Product(rows, queries), Int8Product(Int8Rows(rows), queries)):
        residuals = np.zeros(len(rows)) if product.residuals is None else product.residuals
        off = np.abs(product.block(0, len(rows)) * product.scales - reported)
        allowed = residuals[:, None].astype(float) * product.reach + product.margins
        assert (off <= allowed).all()
        assert allowed.max() < (2e-4 if product.residuals is None else 0.01 + np.sqrt(dim) / 100)


@pytest.mark.parametrize("dim", [33, 300])
def test_blocks_are_rows_of_the_whole(dim: int, rng: np.random.Generator) -> None:
    rows = hard_vectors("random", 50, dim, rng)
    for queries in (rows[:1], rows[:4]):
        for product in (Float32Product(rows, queries), Int8Product(Int8Rows(rows), queries)):
            whole = product.block(0, 50)
            assert whole.shape == (50, len(queries))
            assert whole.dtype == np.float32
            parts = np.concatenate([product.block(0, 17), product.block(17, 50)])
            np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_an_import_that_fails_for_another_reason_is_not_hidden() -> None:
    with (
        mock.patch("importlib.import_module", side_effect=ImportError("libgomp is broken")),
        pytest.raises(ImportError, match="libgomp is broken"),
    ):
        import_numkong()
