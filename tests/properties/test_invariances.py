"""The invariances that docstrings promise, on random sets, splits and orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

TOLERANCE = 1e-6
relaxed = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module", params=["mean", "norm-weighted", "exact"])
def exact_fuser(request, fuser_folders):
    return load_fuser(fuser_folders.get(request.param, request.param))


@st.composite
def sets_and_cuts(draw) -> tuple[EmbeddingSet, list[int], np.random.Generator]:
    """A set of 2 to 60 images of lengths over five decades, and points to cut it at."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(2, 60))
    lengths = 10 ** rng.uniform(-2, 3, (count, 1))
    images = EmbeddingSet(
        embeddings=rng.standard_normal((count, 16)) * lengths,
        style=rng.standard_normal((count, 6, 2)) * 10 ** rng.uniform(-2, 1),
        embedder="net@1",
    )
    cuts = draw(st.lists(st.integers(1, count - 1), max_size=6, unique=True))
    return images, [0, *sorted(cuts), count], rng


def encode_parts(fuser, images: EmbeddingSet, borders: list[int]):
    parts = [images[a:b] for a, b in itertools.pairwise(borders)]
    return [fuser.encode(part) for part in parts]


@relaxed
@given(case=sets_and_cuts())
def test_any_split_and_merge_order(exact_fuser, case) -> None:
    images, borders, rng = case
    states = encode_parts(exact_fuser, images, borders)
    merged = states[0]
    for index in rng.permutation(np.arange(1, len(states))):
        merged = merged + states[index]
    whole = exact_fuser.fuse(images).vector
    assert np.abs(exact_fuser.finish(merged).vector - whole).max() < TOLERANCE


@relaxed
@given(case=sets_and_cuts())
def test_any_order_of_images(exact_fuser, case) -> None:
    images, _, rng = case
    order = rng.permutation(images.num_images)
    whole, shuffled = exact_fuser.fuse(images), exact_fuser.fuse(images[order])
    assert np.abs(whole.vector - shuffled.vector).max() < TOLERANCE
    assert np.abs(whole.weights[order] - shuffled.weights).max() < 1e-6


@relaxed
@given(case=sets_and_cuts())
def test_one_by_one(exact_fuser, case) -> None:
    images, _, _ = case
    whole = exact_fuser.fuse(images).vector
    assert np.abs(exact_fuser.fuse(images, chunk_size=1).vector - whole).max() < TOLERANCE


@relaxed
@given(case=sets_and_cuts())
def test_images_can_be_taken_out(exact_fuser, case) -> None:
    images, borders, _ = case
    cut = borders[1] if len(borders) > 2 else 1
    kept, removed = images[:cut], images[cut:]
    state = exact_fuser.encode(images) - exact_fuser.encode(removed)
    expected = exact_fuser.fuse(kept).vector
    assert np.abs(exact_fuser.finish(state).vector - expected).max() < TOLERANCE


@relaxed
@given(case=sets_and_cuts())
def test_repeating_every_image_changes_nothing(exact_fuser, case) -> None:
    images, _, _ = case
    twice = EmbeddingSet.concatenate([images, images])
    assert (
        np.abs(exact_fuser.fuse(twice).vector - exact_fuser.fuse(images).vector).max() < TOLERANCE
    )


@pytest.mark.parametrize("size", [1, 2, 3, 37, 512, 513])
def test_an_image_adds_the_same_bits_in_any_company(exact_fuser, make_set, size) -> None:
    """What lets a heavy image leave nothing behind: its terms do not depend on the rows beside it."""
    images = make_set(1100)
    whole = exact_fuser._terms(images.embeddings, images.norms, images.style)
    for start in (0, 500):
        part = images[start : start + size]
        terms = exact_fuser._terms(part.embeddings, part.norms, part.style)
        assert np.array_equal(terms.shares, whole.shares[start : start + size])
        assert np.array_equal(terms.style, whole.style[start : start + size])


def test_official_fuser_depends_on_the_split(fuser_folders, make_set) -> None:
    """The counter-example: what the paper's architecture does not hold."""
    official = load_fuser(fuser_folders["official"])
    images = make_set(32)
    whole, split = official.fuse(images).vector, official.fuse(images, chunk_size=1).vector
    assert np.abs(whole - split).max() > 1e-3
