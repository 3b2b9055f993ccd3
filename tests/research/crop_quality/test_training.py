from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig
from research.crop_quality.network import EmbedderQuality
from research.crop_quality.training import combine_stores, export_quality

from probefusion.embedders import CropQuality
from probefusion.errors import (
    DtypeError,
    MismatchError,
    MissingFileError,
    MissingStyleError,
    OutputExistsError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.nn.architectures import build_network
from probefusion.training.config import TrainingConfig
from probefusion.training.loop import train_network


@pytest.fixture
def other(store):
    """The same variants by another embedder."""
    rng = np.random.default_rng(1)
    return replace(
        store,
        embeddings=rng.standard_normal(store.embeddings.shape).astype(np.float16),
        clean=rng.standard_normal(store.clean.shape).astype(np.float32),
        style=None,
        embedder="other@0",
        facts={**store.facts, "embedder": "other@0"},
    )


def unit(vectors):
    wide = np.asarray(vectors, np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def test_a_combined_store_has_the_style_and_lengths_of_one_and_the_directions_of_the_other(
    store, other
) -> None:
    combined = combine_stores(store, other)
    assert np.array_equal(combined.style, store.style)
    for name in ("embeddings", "clean"):
        found, directions = getattr(combined, name), getattr(other, name)
        assert np.abs(unit(found) - unit(directions)).max() < 1e-3
        lengths = np.linalg.norm(np.asarray(getattr(store, name), np.float64), axis=-1)
        assert np.abs(np.linalg.norm(found.astype(np.float64), axis=-1) / lengths - 1).max() < 2e-3
    assert combined.embedder == "other@0"
    assert combined.facts["seen_by"] == store.embedder


def test_a_network_can_be_trained_on_a_combined_store(store, other) -> None:
    config = TrainingConfig(
        architecture="exact-fast",
        batch_size=6,
        group_size=4,
        prefixes=(1, 2, 4),
        bad_share=None,
        steps=3,
    )
    result = train_network(combine_stores(store, other), config)
    assert np.isfinite(result.centre_losses).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 9),
        ("recipe", "another"),
        ("sources", []),
        ("content", "other bytes"),
        ("subjects", []),
        ("subject_ids", []),
    ],
)
def test_stores_of_other_variants_are_refused(store, other, key, value) -> None:
    with pytest.raises(MismatchError, match=key):
        combine_stores(store, replace(other, facts={**other.facts, key: value}))


def test_embeddings_without_direction_and_other_numbers_of_variants_are_refused(
    store, other
) -> None:
    empty = other.embeddings.copy()
    empty[2, 1] = 0
    with pytest.raises(ZeroLengthError, match="fused"):
        combine_stores(store, replace(other, embeddings=empty))
    with pytest.raises(MismatchError, match="variants"):
        combine_stores(store, replace(other, embeddings=other.embeddings[:, :2]))


def test_the_file_answers_as_the_network_and_says_how_it_was_trained(tmp_path, rng) -> None:
    size = CompactEmbedderConfig(dim=8, widths=(4, 6, 8, 8), depths=(1, 1, 1), head=16)
    embedder = CompactEmbedder(size, rng=np.random.default_rng(0))
    crops = rng.integers(0, 256, (6, 112, 112, 3)).astype(np.uint8)
    crops[::2] //= 4
    with torch.no_grad():
        for _ in range(40):  # statistics of its BatchNorms
            embedder(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1)
    fuser = build_network("exact-fast", {"dim": 8, "style_channels": 14}).eval()
    with torch.no_grad():  # a weight that starts at zero judges all images alike
        fuser.weight.weight += torch.randn(fuser.weight.weight.shape)
    network = EmbedderQuality(embedder.eval(), fuser)
    path = tmp_path / "quality.onnx"
    export_quality(network, path, facts={"held_out_fold": "3"})
    with torch.no_grad():
        expected = network(torch.from_numpy(crops)).numpy()
    found = CropQuality(path).judge(crops)
    assert np.abs(found - expected).max() < 1e-3
    assert expected.std() > 1e-2
    properties = onnx.load(path).metadata_props
    assert {entry.key: entry.value for entry in properties} == {"held_out_fold": "3"}
    with pytest.raises(OutputExistsError):
        export_quality(network, path)


def test_a_store_without_style_sees_nothing(store, other) -> None:
    with pytest.raises(MissingStyleError, match="seen"):
        combine_stores(other, store)


def test_the_bundled_network_prefers_sharp_faces_to_flat_grey() -> None:
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (4, 14, 14, 3)).repeat(8, axis=1).repeat(8, axis=2)
    flat = np.full((4, 112, 112, 3), 90)
    quality = CropQuality()
    found = quality.judge(np.concatenate([blocks, flat]).astype(np.uint8))
    assert found.shape == (8,)
    assert np.abs(found).max() <= 4
    larger = np.full((1, 160, 160, 3), 90, dtype=np.uint8)
    assert quality.judge(larger)[0] == pytest.approx(float(found[-1]), abs=1e-3)
    assert quality.judge(flat[:0].astype(np.uint8)).shape == (0,)


def test_refusals(tmp_path) -> None:
    with pytest.raises(MissingFileError):
        CropQuality(tmp_path / "none.onnx")
    with pytest.raises(DtypeError, match="crops"):
        CropQuality().judge(np.zeros((1, 112, 112, 3)))
    with pytest.raises(ShapeError, match="crops"):
        CropQuality().judge(np.zeros((1, 112, 100, 3), np.uint8))
