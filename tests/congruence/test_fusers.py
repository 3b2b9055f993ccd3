"""One scenario on every fuser."""

from __future__ import annotations

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probefusion.errors import (
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    InvalidInputError,
    MissingStyleError,
    ShapeError,
)
from probefusion.types import FusionState


def test_fuse_is_finish_of_encode(any_fuser, make_set) -> None:
    images = make_set(9)
    template = any_fuser.fuse(images)
    finished = any_fuser.finish(any_fuser.encode(images))
    assert np.abs(template.vector - finished.vector).max() < 1e-6
    assert abs(np.linalg.norm(template.vector) - 1) < 1e-6
    assert template.num_images == 9
    assert template.fuser == any_fuser.fingerprint


def test_weights_are_shares(any_fuser, make_set) -> None:
    weights = any_fuser.fuse(make_set(9)).weights
    assert weights.shape == (9,)
    assert weights.min() >= 0
    assert abs(weights.sum() - 1) < 1e-5


def test_single_image(any_fuser, make_set) -> None:
    template = any_fuser.fuse(make_set(1))
    assert template.weights.tolist() == [1.0]


def test_fuse_many_equals_fuse(any_fuser, make_set) -> None:
    images = make_set(40)
    offsets = [0, 1, 2, 7, 12, 40]
    templates = any_fuser.fuse_many(images, offsets)
    assert templates.shape == (5, 16)
    for row, (start, stop) in enumerate(itertools.pairwise(offsets)):
        alone = any_fuser.fuse(images[start:stop]).vector
        assert np.abs(templates[row] - alone).max() < 1e-5


def test_fuse_many_in_chunks_equals_fuse_in_chunks(any_fuser, make_set) -> None:
    images = make_set(20)
    templates = any_fuser.fuse_many(images, [0, 7, 20], chunk_size=4)
    for row, part in enumerate((images[:7], images[7:])):
        alone = any_fuser.fuse(part, chunk_size=4).vector
        assert np.abs(templates[row] - alone).max() < 1e-5


def test_many_sets_of_all_sizes(any_fuser, make_set) -> None:
    """More images than a block, more sets than are held at once, sets across block borders."""
    images = make_set(2600)
    sizes = np.concatenate([np.ones(1100, int), [3, 900, 17, 16, 1], np.full(14, 40), [3]])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    assert offsets[-1] == 2600
    templates = any_fuser.fuse_many(images, offsets)
    for row in (0, 1, 511, 512, 1023, 1024, 1099, 1100, 1101, 1102, 1103, 1104, 1110, 1119):
        alone = any_fuser.fuse(images[offsets[row] : offsets[row + 1]]).vector
        assert np.abs(templates[row] - alone).max() < 1e-5
    states = any_fuser.encode_many(images, offsets)
    assert np.abs(any_fuser.finish_many(states) - templates).max() < 1e-5


def test_threads_change_not_a_bit(any_fuser, make_set) -> None:
    if not any_fuser.is_exact:
        pytest.skip("only exact fusers compute in blocks")
    images = make_set(1700)
    any_fuser.num_threads = 1
    alone = any_fuser.encode(images)
    any_fuser.num_threads = 3
    together = any_fuser.encode(images)
    assert np.array_equal(alone.sums, together.sums)
    assert np.array_equal(alone.style_sums, together.style_sums)


def test_order_of_batches_is_free(any_fuser, make_set) -> None:
    states = [any_fuser.encode(make_set(4)) for _ in range(3)]
    forward = any_fuser.finish(states[0] + states[1] + states[2])
    backward = any_fuser.finish(states[2] + states[1] + states[0])
    assert np.abs(forward.vector - backward.vector).max() < 1e-6


def test_a_batch_can_be_taken_out(any_fuser, make_set) -> None:
    first, second = any_fuser.encode(make_set(4)), any_fuser.encode(make_set(5))
    back = (first + second) - second
    assert np.abs(any_fuser.finish(back).vector - any_fuser.finish(first).vector).max() < 1e-6


def test_state_survives_storage(any_fuser, make_set) -> None:
    state = any_fuser.encode(make_set(4))
    again = FusionState.from_bytes(state.to_bytes())
    assert np.array_equal(any_fuser.finish(again).vector, any_fuser.finish(state).vector)


def test_nothing_is_remembered_between_calls(any_fuser, make_set) -> None:
    first, second = make_set(6), make_set(6)
    before = any_fuser.fuse(first).vector
    any_fuser.fuse(second)
    assert np.array_equal(any_fuser.fuse(first).vector, before)


def test_several_threads(any_fuser, make_set) -> None:
    sets = [make_set(5) for _ in range(12)]
    expected = [any_fuser.fuse(images).vector for images in sets]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda images: any_fuser.fuse(images).vector, sets))
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() < 1e-6


def test_exactness_is_told_truly(any_fuser, make_set) -> None:
    images = make_set(24)
    whole, split = any_fuser.fuse(images).vector, any_fuser.fuse(images, chunk_size=5).vector
    deviation = np.abs(whole - split).max()
    assert (deviation < 1e-6) == any_fuser.is_exact


def test_refusals(any_fuser, make_set) -> None:
    images = make_set(4)
    with pytest.raises(InvalidInputError, match="run from 0 to 4"):
        any_fuser.fuse_many(images, [0, 3])
    with pytest.raises(InvalidInputError, match="ascending"):
        any_fuser.fuse_many(images, [0, 3, 2, 4])
    with pytest.raises(EmptySetError, match="set 1"):
        any_fuser.fuse_many(images, [0, 2, 2, 4])
    with pytest.raises(InvalidInputError, match="offsets"):
        any_fuser.fuse_many(images, [0.0, 4.0])
    with pytest.raises(InvalidInputError, match="chunk"):
        any_fuser.fuse(images, chunk_size=0)
    state = any_fuser.encode(images)
    with pytest.raises(EmptySetError):
        any_fuser.finish(state - state)
    other = FusionState(
        mass=state.mass,
        sums=state.sums,
        style_sums=state.style_sums,
        num_images=4,
        fuser="somebody@else",
    )
    with pytest.raises(FuserMismatchError, match="somebody"):
        any_fuser.finish(other)
    # A trained fuser's state is told when it is finished; what averages cannot give, when it is made.
    with pytest.raises(
        InvalidInputError, match=r"7 clusters|clusters, got 7|one cluster|weigh 1, got 7"
    ):
        any_fuser.finish(
            FusionState(
                mass=np.ones(7),
                sums=np.ones((7, 16)),
                style_sums=np.ones((7, 128)),
                num_images=1,
                fuser=any_fuser.fingerprint,
            )
        )
    with pytest.raises(InvalidInputError, match="no mass"):
        dataclasses.replace(state, mass=0 * state.mass)
    if any_fuser.adds_directions:
        with pytest.raises(InvalidInputError, match="longer than 4 images"):
            any_fuser.finish(dataclasses.replace(state, sums=state.sums * 1e3))
    if any_fuser.style_width is not None:
        wide = np.ones((len(state.mass), any_fuser.style_width + 1))
        with pytest.raises(ShapeError, match="style"):
            any_fuser.finish(dataclasses.replace(state, style_sums=wide))


def test_trained_fusers_refuse_what_they_were_not_made_for(any_fuser, make_set) -> None:
    if any_fuser.dim is None:
        assert any_fuser.fuse(make_set(3, dim=5, channels=0, embedder="any")).dim == 5
        unknown = make_set(3, embedder=None)
        assert any_fuser.fuse(unknown).embedder is None
        assert any_fuser.encode(unknown).embedder is None
        return
    with pytest.raises(EmbedderMismatchError, match="net@1"):
        any_fuser.fuse(make_set(3, embedder="other@1"))
    with pytest.raises(EmbedderMismatchError, match=r"nothing says which network.*--embedder net "):
        any_fuser.fuse(make_set(3, embedder=None))
    with pytest.raises(EmbedderMismatchError, match="nothing says which network"):
        any_fuser.encode(make_set(3, embedder=None))
    with pytest.raises(EmbedderMismatchError, match="nothing says which network"):
        any_fuser.fuse_many(make_set(3, embedder=None), [0, 1, 3])
    with pytest.raises(ShapeError, match="dimension 16"):
        any_fuser.fuse(make_set(3, dim=8))
    with pytest.raises(MissingStyleError, match="6"):
        any_fuser.fuse(make_set(3, channels=0))
    with pytest.raises(ShapeError, match="6 channels"):
        any_fuser.fuse(make_set(3, channels=4))
    assert any_fuser.fuse(make_set(3)).embedder == "net@1"


def test_shares_of_batches_tell_the_weights_of_the_whole(any_fuser, make_set) -> None:
    images = make_set(7)
    parts = [any_fuser.encode_with_shares(part) for part in images.chunks(3)]
    state = parts[0][0]
    for part, _ in parts[1:]:
        state = state + part
    raw = any_fuser.weigh(state, np.concatenate([shares for _, shares in parts]))
    template = any_fuser.fuse(images, chunk_size=3)
    assert np.abs(raw / raw.sum() - template.weights).max() < 1e-6
    assert np.abs(any_fuser.finish(state).vector - template.vector).max() < 1e-6
