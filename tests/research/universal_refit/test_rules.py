"""Rules of the refit: sums that merge, `universal` among them, and what each constant does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from research.universal_refit.rules import Images, Rule, State, read_out, state_of, templates

from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

DIM = 6
RICH = Rule(
    power=0.7,
    ceiling=1.0,
    length=2.0,
    share=0.3,
    share_by_coherence=3.0,
    share_by_size=-0.3,
    bundling=0.4,
    second=-0.5,
)
OFFSETS = np.array([0, 1, 4, 9, 20])


def drawn(count: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of one direction with noise, and qualities."""
    rng = np.random.default_rng(seed)
    embeddings = 2 + rng.standard_normal((count, DIM))
    embeddings *= rng.uniform(1, 9, (count, 1))
    return embeddings.astype(np.float32), rng.uniform(-3, 3, count).astype(np.float32)


def test_the_defaults_are_universal() -> None:
    embeddings, quality = drawn()
    found = templates(Rule(), Images.of(embeddings, quality), OFFSETS)
    fuser = load_fuser("universal", embedder="any@1", num_threads=1)
    known = fuser.fuse_many(
        EmbeddingSet(embeddings=embeddings, quality=quality, embedder="any@1"), OFFSETS
    )
    assert np.abs(found - known).max() < 1e-6


def test_one_image_stays_as_it_is() -> None:
    embeddings, quality = drawn()
    images = Images.of(embeddings, quality)
    assert np.abs(templates(RICH, images, np.arange(21)) - images.units).max() < 1e-6


def test_states_merge_and_images_can_be_taken_out() -> None:
    embeddings, quality = drawn()
    images = Images.of(embeddings, quality)

    def one(rows: np.ndarray) -> State:
        return state_of(RICH, images.at(rows), np.array([0, len(rows)]))

    everything = read_out(RICH, one(np.arange(20)))
    parts = one(np.array([17, 2, 5])).plus(one(np.setdiff1d(np.arange(20), [17, 2, 5])))
    assert np.abs(read_out(RICH, parts) - everything).max() < 1e-5
    assert np.abs(read_out(RICH, one(np.arange(20)[::-1])) - everything).max() < 1e-5
    without = one(np.arange(20)).plus(one(np.array([17, 2])), -1.0)
    known = read_out(RICH, one(np.setdiff1d(np.arange(20), [17, 2])))
    assert np.abs(read_out(RICH, without) - known).max() < 1e-5


def test_the_step_formed_from_images_is_that_of_the_sums() -> None:
    embeddings, quality = drawn()
    images = Images.of(embeddings, quality)
    known = read_out(RICH, state_of(RICH, images, OFFSETS))
    assert np.abs(templates(RICH, images, OFFSETS) - known).max() < 1e-5
    with pytest.raises(ValueError, match="sum of squares"):
        read_out(RICH, state_of(RICH, images, OFFSETS, squares=False))


@pytest.mark.parametrize("constant", ["power", "ceiling", "length", "share", "bundling", "second"])
def test_each_constant_changes_a_set(constant: str) -> None:
    embeddings, quality = drawn()
    images = Images.of(embeddings, quality)
    other = replace(Rule(), **{constant: 0.5})
    difference = np.abs(templates(other, images, OFFSETS) - templates(Rule(), images, OFFSETS))
    assert difference[0].max() < 1e-6
    assert difference[1:].max() > 1e-4
    assert other.text == f"{constant} 0.5"


def test_the_unit_of_length_does_not_matter() -> None:
    embeddings, quality = drawn()
    found = templates(RICH, Images.of(embeddings, quality), OFFSETS)
    longer = templates(RICH, Images.of(7 * embeddings, quality), OFFSETS)
    assert np.abs(found - longer).max() < 1e-5


def test_length_counts_only_where_it_agrees_with_quality() -> None:
    embeddings, _ = drawn()
    lengths = np.linalg.norm(embeddings, axis=1)
    offsets = np.array([0, 20])
    for quality, counts in ((np.log(lengths), True), (-np.log(lengths), False)):
        images = Images.of(embeddings, quality)
        plain, longer = (templates(Rule(length=value), images, offsets) for value in (0.0, 2.0))
        assert (np.abs(plain - longer).max() > 1e-3) == counts
