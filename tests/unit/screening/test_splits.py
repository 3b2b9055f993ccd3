"""Candidate splits: no empty or whole parts, none twice, the planted one among them."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import planted

from probefusion.screening.splits import candidate_splits, lighter


def seen(*counts: int, seeds=(0,), noise: float = 0.3):
    """Cosines and equal weights of sets of the same people."""
    rows = np.stack(
        [planted(*counts, seed=seed, noise=noise).embeddings.astype(np.float64) for seed in seeds]
    )
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    return rows @ rows.transpose(0, 2, 1), np.full(rows.shape[:2], 1 / sum(counts))


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (5, 3), (12, 12), (60, 20)])
def test_candidates(counts: tuple[int, int]) -> None:
    cosines, weights = seen(*counts)
    sets, parts = candidate_splits(cosines, weights)
    assert not sets.any()
    sizes = parts.sum(axis=1)
    assert (sizes >= 1).all()
    assert (sizes < sum(counts)).all()
    assert (parts @ weights[0] <= 0.5 + 1e-9).all()
    assert len(np.unique(parts, axis=0)) == len(parts)
    wanted = np.arange(sum(counts)) >= counts[0]
    assert any((part == wanted).all() or (part != wanted).all() for part in parts)


def test_splits_of_many_sets_are_those_of_each() -> None:
    cosines, weights = seen(8, 4, 4, seeds=range(5), noise=0.9)
    weights = weights * np.linspace(0.5, 1.5, 16)
    weights /= weights.sum(axis=1, keepdims=True)
    sets, parts = candidate_splits(cosines, weights)
    assert (np.diff(sets) >= 0).all()
    for row in range(5):
        _, alone = candidate_splits(cosines[[row]], weights[[row]])
        assert (parts[sets == row] == alone).all()


def test_equal_weights_need_one_look_along_the_directions() -> None:
    cosines, weights = seen(8, 4, 3, seeds=range(3), noise=0.9)
    bent = weights * (1 + 1e-9 * np.arange(15))  # no longer equal: looked at twice
    bent /= bent.sum(axis=1, keepdims=True)
    for one, other in zip(
        candidate_splits(cosines, weights), candidate_splits(cosines, bent), strict=True
    ):
        assert (one == other).all()


def test_the_lighter_of_equal_parts_is_that_without_the_first_image() -> None:
    parts = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)
    found = lighter(parts, np.full((3, 4), 0.25))
    assert found.astype(int).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
