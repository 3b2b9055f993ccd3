"""Which fuser that is not here is advised: only one that would then be taken."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from probefusion.pipeline import fuser_advice
from probefusion.pipeline.fuser_advice import better_than
from probefusion.types import EmbeddingSet

_KNOWN = ("exact-fast.net.r1", "official.net.r1", "exact.net.r1", "exact-embedding.net.r1")


@pytest.fixture
def absent(monkeypatch):
    """Names of the fusers that are known for "net@1" and not here."""
    names = list(_KNOWN)
    monkeypatch.setattr(
        fuser_advice,
        "absent_fusers",
        lambda embedder: [SimpleNamespace(name=name) for name in names if embedder == "net@1"],
    )
    return names


@pytest.fixture
def images(rng) -> EmbeddingSet:
    """Three images with style."""
    return EmbeddingSet(
        embeddings=rng.standard_normal((3, 8)).astype(np.float32),
        style=rng.random((3, 4, 2)).astype(np.float32),
        embedder="net@1",
    )


def test_images_with_style_are_told_of_the_one_that_sees_style(absent, images):
    assert better_than("mean", [images]).endswith("probefusion models pull exact.net.r1")


def test_vectors_without_style_are_told_of_one_that_needs_none(absent, images):
    vectors = replace(images, style=None)
    assert better_than("mean", [vectors]).endswith("pull exact-embedding.net.r1")
    assert better_than("mean", [images, vectors]).endswith("pull exact-embedding.net.r1")


def test_nothing_is_advised_that_would_not_be_taken_afterwards(absent, images):
    absent[:] = ["exact-fast.net.r1", "official.net.r1"]
    assert better_than("mean", [images]) == ""
    absent[:] = ["exact.net.r1"]
    assert better_than("mean", [replace(images, style=None)]) == ""


def test_nothing_is_advised_for_another_embedder_or_fuser(absent, images):
    assert better_than("mean", [replace(images, embedder=None)]) == ""
    assert better_than("mean", [replace(images, embedder="net@2")]) == ""
    assert better_than("exact.net.r1", [images]) == ""
