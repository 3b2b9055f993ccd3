"""The fusers of SFace: which one is taken, and that none corrects."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser, suggest_fuser

EMBEDDER = "opencv_sface_int8bq@732598e63104"
REVISION = "opencv_sface_int8bq-lfw112.r1"


@pytest.fixture
def images(rng) -> EmbeddingSet:
    """Seven images with style."""
    return EmbeddingSet(
        embeddings=rng.standard_normal((7, 128)).astype(np.float32),
        style=rng.random((7, 768, 2)).astype(np.float32),
        embedder=EMBEDDER,
    )


def test_the_one_that_sees_style_is_taken_where_there_is_any(images):
    assert suggest_fuser(images) == f"exact.{REVISION}"


def test_vectors_of_another_package_need_no_style(images):
    features = EmbeddingSet(embeddings=images.embeddings, embedder=EMBEDDER)
    assert suggest_fuser(features) == f"exact-embedding.{REVISION}"
    vector = load_fuser("exact-embedding", embedder=EMBEDDER).fuse(features).vector
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_fast_size_gives_a_weighted_mean_and_nothing_else(images):
    """Its template lies in the span of the images' directions, with weights above 0."""
    template = load_fuser(f"exact-fast.{REVISION}").fuse(images).vector
    directions = images.embeddings / images.norms[:, None]
    shares, rest, *_ = np.linalg.lstsq(directions.T, template, rcond=None)
    assert rest == pytest.approx(0, abs=1e-8)
    assert shares.min() > 0
    single = load_fuser(f"exact-fast.{REVISION}").fuse(images[:1]).vector
    np.testing.assert_allclose(single, directions[0], rtol=0, atol=1e-5)
