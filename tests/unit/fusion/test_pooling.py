from __future__ import annotations

import numpy as np
import pytest

import probefusion
from probefusion.errors import InvalidInputError, UnknownNameError
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

SET = EmbeddingSet(embeddings=np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))


def test_mean_counts_every_image_alike() -> None:
    template = load_fuser("mean").fuse(SET)
    assert np.allclose(template.vector, np.array([1.0, 2.0]) / np.sqrt(5))
    assert np.allclose(template.weights, 1 / 3)


def test_norm_weighted_counts_by_length() -> None:
    template = load_fuser("norm-weighted").fuse(SET)
    assert np.allclose(template.vector, np.array([3.0, 2.0]) / np.sqrt(13))
    assert np.allclose(template.weights, [0.6, 0.2, 0.2])


def test_embeddings_that_cancel_have_no_template() -> None:
    opposite = EmbeddingSet(embeddings=np.array([[1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(InvalidInputError, match="cancel"):
        load_fuser("mean").fuse(opposite)


def test_unknown_fuser_suggests() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mean'"):
        load_fuser("meen")


def test_fuse_takes_plain_arrays_and_sets() -> None:
    from_array = probefusion.fuse(SET.embeddings)
    assert from_array.shape == (2,)
    assert np.array_equal(from_array, probefusion.fuse(SET))
    with pytest.raises(TypeError, match="style"):
        probefusion.fuse(SET, style=np.ones((3, 1, 2)))


def test_long_and_tiny_embeddings_do_not_overflow() -> None:
    images = EmbeddingSet(embeddings=np.array([[4e5, 4e5], [1e-5, 0.0]]))
    assert np.isfinite(load_fuser("mean").fuse(images).vector).all()
    assert np.isfinite(load_fuser("norm-weighted").fuse(images).vector).all()
