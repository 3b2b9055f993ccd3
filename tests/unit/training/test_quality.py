from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import ConfigError, DtypeError, MissingFileError, ShapeError
from probefusion.faces import CropQuality
from probefusion.nn.architectures import build_network
from probefusion.nn.quality_network import QualityNetwork, QualityNetworkConfig
from probefusion.training.quality import (
    QualityTraining,
    draw_grey_variants,
    export_quality,
    image_log_weights,
    train_quality,
)


@pytest.fixture(scope="module")
def crops():
    """(6, 4, 112, 112): variant v is the image with v quarters of its contrast lost."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 1, 28, 28)).repeat(4, axis=2).repeat(4, axis=3)
    fading = np.array([1.0, 0.75, 0.5, 0.25])[None, :, None, None]
    return (127 + (images - 127) * fading).astype(np.uint8)


def test_it_learns_what_it_is_taught_and_the_graph_agrees(tmp_path, crops) -> None:
    wanted = np.tile(np.array([1.5, 0.5, -0.5, -1.5], dtype=np.float32), (6, 1))
    losses = []
    network = train_quality(
        crops,
        wanted,
        QualityTraining(steps=60, batch_size=16),
        on_step=lambda _, loss: losses.append(loss),
    )
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])
    export_quality(network, tmp_path / "quality.onnx")
    colour = np.repeat(crops[:, :, :, :, None].reshape(-1, 112, 112, 1), 3, axis=-1)
    found = CropQuality(tmp_path / "quality.onnx").judge(colour)
    with torch.no_grad():
        expected = network(torch.from_numpy(colour)).numpy()
    assert np.abs(found - expected).max() < 1e-4
    by_variant = found.reshape(6, 4).mean(axis=0)
    assert (np.diff(by_variant) < 0).all()


def test_rows_choose_images(crops) -> None:
    with pytest.raises(ShapeError, match="log_weights"):
        train_quality(crops, np.zeros((6, 3), np.float32), QualityTraining(steps=2, batch_size=2))
    rows = np.array([1, 4])
    train_quality(
        crops, np.zeros((2, 4), np.float32), QualityTraining(steps=2, batch_size=2), rows=rows
    )


def test_grey_variants_are_those_of_the_store(tmp_path) -> None:
    rng = np.random.default_rng(2)
    pictures = {
        name: rng.integers(0, 256, (112, 112, 3)).astype(np.uint8) for name in ("a/1", "b/1")
    }

    def draw(image, generator):
        return image[None] - generator.integers(0, 50, (2, 1, 1, 1)).astype(np.uint8)

    grey = draw_grey_variants(
        tuple(pictures), pictures.__getitem__, draw, tmp_path / "g.npy", num_variants=2, seed=7
    )
    from probefusion.training.variant_store import variant_generator

    expected = draw(pictures["b/1"], variant_generator(7, "b/1"))[1] @ np.array(
        [0.299, 0.587, 0.114]
    )
    assert grey.shape == (2, 2, 112, 112)
    assert np.abs(grey[1, 1] - expected).max() <= 0.51


def test_log_weights_are_those_of_the_fuser_around_zero(store) -> None:
    network = build_network("scalar-quality", {"dim": 12, "style_channels": 6}).eval()
    with torch.no_grad():  # untrained, its style maker gives every image the same style
        network.token.style_maker.cfc += 1
    weights = image_log_weights(network, store)
    assert weights.shape == store.embeddings.shape[:2]
    assert abs(weights.mean()) < 1e-4
    assert weights.std() > 0


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
    with pytest.raises(ShapeError, match="crops"):
        QualityNetwork()(torch.zeros(1, 64, 64))
    with pytest.raises(ConfigError, match="widths"):
        QualityNetworkConfig(widths=(1, 2))
    with pytest.raises(ConfigError, match="steps"):
        QualityTraining(steps=1)
