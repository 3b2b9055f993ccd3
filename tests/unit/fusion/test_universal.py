from __future__ import annotations

import numpy as np
import pytest

import probefusion
from probefusion.errors import DtypeError, MissingQualityError, NonFiniteError, ShapeError
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser


def images(quality=(3.0, -3.0, 0.0)) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    return EmbeddingSet(
        embeddings=rng.standard_normal((3, 5)) * 4, quality=None if quality is None else quality
    )


def test_weights_follow_the_quality() -> None:
    template = load_fuser("universal").fuse(images())
    expected = np.exp(np.array([3.0, -3.0, 0.0]))
    assert template.weights == pytest.approx(expected / expected.sum(), rel=1e-5)
    units = images().embeddings / images().norms[:, None]
    wanted = expected @ units
    assert np.allclose(template.vector, wanted / np.linalg.norm(wanted), atol=1e-6)


def test_equal_quality_is_the_mean() -> None:
    even = images((1.0, 1.0, 1.0))
    found = load_fuser("universal").fuse(even).vector
    assert np.allclose(found, load_fuser("mean").fuse(even).vector, atol=1e-6)


def test_parts_merge_and_come_out_again() -> None:
    fuser, whole = load_fuser("universal"), images()
    first, second = fuser.encode(whole[:1]), fuser.encode(whole[1:])
    merged = fuser.finish(first + second).vector
    assert np.allclose(merged, fuser.fuse(whole).vector, atol=1e-6)
    left = fuser.finish((first + second) - first).vector
    assert np.allclose(left, fuser.fuse(whole[1:]).vector, atol=1e-6)


def test_many_sets_at_once() -> None:
    fuser, whole = load_fuser("universal"), images()
    together = fuser.fuse_many(whole, [0, 2, 3])
    assert np.allclose(together[0], fuser.fuse(whole[:2]).vector, atol=1e-6)


def test_a_set_without_quality_is_refused() -> None:
    with pytest.raises(MissingQualityError, match="crops"):
        load_fuser("universal").fuse(images(None))


@pytest.mark.parametrize(
    ("quality", "error"),
    [
        ([1.0, 2.0], ShapeError),
        ([[1.0], [2.0], [3.0]], ShapeError),
        ([1.0, np.nan, 0.0], NonFiniteError),
        ([1, 2, 3], DtypeError),
    ],
)
def test_bad_quality(quality, error) -> None:
    with pytest.raises(error, match="quality"):
        images(np.array(quality))


def test_quality_is_saved_sliced_and_joined(tmp_path) -> None:
    whole = images()
    whole.save(tmp_path / "set.npz")
    again = EmbeddingSet.load(tmp_path / "set.npz")
    assert again.quality is not None
    assert again.quality.tolist() == [3.0, -3.0, 0.0]
    joined = EmbeddingSet.concatenate([again[:1], again[1:]])
    assert joined.quality is not None
    assert joined.quality.tolist() == [3.0, -3.0, 0.0]
    assert EmbeddingSet.concatenate([again, images(None)]).quality is None


def test_fuse_takes_crops_of_any_embedder() -> None:
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    crops[0] = crops[0] // 16 + 100
    embeddings = rng.standard_normal((3, 7))
    fused = probefusion.fuse(embeddings, crops=crops)
    assert np.linalg.norm(fused) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(fused, probefusion.fuse(embeddings), atol=1e-4)
    with pytest.raises(TypeError, match="crops"):
        probefusion.fuse(images(), crops=crops)
    with pytest.raises(ShapeError, match="quality"):
        probefusion.fuse(embeddings, crops=crops[:2])
