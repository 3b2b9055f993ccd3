"""Stored rows beside embeddings: the same, done otherwise, of another embedder, of other images."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.screening.store_rows import check_store, match_rows

NUM, DIM = 12, 32


@pytest.fixture
def rows(rng):
    return rng.standard_normal((NUM, DIM)).astype(np.float32)


def test_the_same_rows_of_any_length(rows) -> None:
    found = check_store(rows * 3, rows, {"mirrored": -rows})
    assert found.is_same
    assert found.cosine == pytest.approx(1)


def test_what_explains_them(rows, rng) -> None:
    mirrored = rng.standard_normal(rows.shape).astype(np.float32)
    found = check_store(mirrored, rows, {"mirrored": mirrored, "turned by 90": -rows})
    assert (found.num_same, found.explanation, found.num_explained) == (0, "mirrored", NUM)


def test_a_part_of_them_mirrored(rows, rng) -> None:
    mirrored = (rows + 0.1 * rng.standard_normal(rows.shape)).astype(np.float32)
    stored = rows.copy()
    stored[::3] = mirrored[::3]
    found = check_store(stored, rows, {"mirrored": mirrored})
    assert (found.num_same, found.num_explained) == (8, 4)


def test_another_embedder_and_another_order(rows, rng) -> None:
    turn, _ = np.linalg.qr(rng.standard_normal((DIM, DIM)))
    other = check_store((rows @ turn).astype(np.float32), rows, {})
    assert not other.is_same
    assert other.shows_same_images
    mixed = check_store(np.roll(rows, 1, axis=0), rows, {})
    assert mixed.num_same == 0
    assert not mixed.shows_same_images


def test_other_dimensions(rows) -> None:
    found = check_store(rows[:, :16], rows, {})
    assert found.cosine is None
    assert found.dims == (16, 32)
    assert found.num_same == 0


def test_one_row(rows) -> None:
    found = check_store(rows[:1], rows[:1], {})
    assert found.is_same
    assert found.agreement is None


def test_rows_are_matched_by_name_end_or_order() -> None:
    images = ["/data/a/1.png", "/data/b/1.png", "/data/b/2.png"]
    assert match_rows(images[::-1], 3, images) == [(0, 2), (1, 1), (2, 0)]
    assert match_rows(["b/2.png", "a/1.png", "c/9.png"], 3, images) == [(0, 2), (1, 0)]
    assert match_rows(["x\\b\\2.png"], 1, images) == [(0, 2)]
    assert match_rows(None, 3, images) == [(0, 0), (1, 1), (2, 2)]
    assert match_rows(None, 2, images) is None
    assert match_rows(["q.png"], 1, images) is None
    assert match_rows(["2.png"], 1, ["/a/1.png", "/a/2.png"]) == [(0, 1)]
