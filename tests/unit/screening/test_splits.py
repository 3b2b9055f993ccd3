"""Candidate splits: no empty or whole parts, none twice, the planted one among them."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import planted

from probefusion.fusion import MeanFuser
from probefusion.screening.elements import Elements
from probefusion.screening.splits import candidate_splits


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (5, 3), (12, 12), (60, 20)])
def test_candidates(counts: tuple[int, int]) -> None:
    elements = Elements.of(planted(*counts, noise=0.3), MeanFuser(num_threads=1))
    parts = candidate_splits(elements.alone, elements.weights)
    sizes = parts.sum(axis=1)
    assert (sizes >= 1).all()
    assert (sizes < sum(counts)).all()
    assert (parts @ elements.weights <= 0.5 + 1e-9).all()
    assert len(np.unique(parts, axis=0)) == len(parts)
    wanted = np.arange(sum(counts)) >= counts[0]
    assert any((part == wanted).all() or (part != wanted).all() for part in parts)


def test_halves_are_what_the_fuser_makes_of_them() -> None:
    images = planted(5, 3)
    fuser = MeanFuser(num_threads=1)
    elements = Elements.of(images, fuser)
    part = np.arange(8) >= 5
    first, second = fuser.fuse(images[part]).vector, fuser.fuse(images[~part]).vector
    assert elements.similarities(part[None])[0] == pytest.approx(float(first @ second), abs=1e-5)


def test_parts_without_direction_have_no_template() -> None:
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    elements = Elements.of(planted(3), MeanFuser(num_threads=1))
    assert np.isnan(elements.templates(np.zeros((1, 3), dtype=bool))).all()
    from probefusion.types import EmbeddingSet

    cancelling = Elements.of(EmbeddingSet(embeddings=rows), MeanFuser(num_threads=1))
    templates = cancelling.templates(np.array([[True, True, False], [True, False, True]]))
    assert np.isnan(templates[0]).all()
    assert templates[1] == pytest.approx([np.sqrt(0.5), np.sqrt(0.5)], abs=1e-6)
