"""The one step from crops to rows that can be fused."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders import CropQuality, EmbedderSpec, embed_crops


class MeanColour:
    """Embeds a crop by its mean colour; black has no length, pure red a style of NaN."""

    norms_known = True

    def __init__(self) -> None:
        self.spec = EmbedderSpec(name="colour", sha256="0" * 64, dim=3)
        self.fingerprint = self.spec.fingerprint

    def embed(self, crops):
        means = crops.mean((1, 2), dtype=np.float32)
        style = np.repeat(means[:, :, None], 2, axis=2)
        style[(means[:, 0] == 250) & (means[:, 1] == 0)] = np.nan
        return np.where(means == 77, np.nan, means), style


class RedQuality:
    """Judges a crop by its red; white cannot be judged."""

    def judge(self, crops):
        red = crops[:, 0, 0, 0].astype(np.float32) / 100
        return np.where(red == 2.55, np.nan, red).astype(np.float32)


def crop(*colour):
    return np.full((112, 112, 3), colour, np.uint8)


CROPS = [crop(10, 2, 3), crop(0, 0, 0), crop(250, 0, 0), crop(77, 1, 1), crop(255, 255, 255)]


def test_usable_rows_stay_in_order_and_the_others_have_reasons() -> None:
    crops = [*CROPS, crop(20, 2, 3)]
    found = embed_crops(crops, MeanColour(), quality=RedQuality(), sources=list("abcdef"))
    assert found.is_usable.tolist() == [True, False, False, False, False, True]
    assert found.images.embeddings[:, 0].tolist() == [10, 20]
    assert found.images.style[:, 0, 0].tolist() == [10, 20]
    assert found.images.quality == pytest.approx([0.1, 0.2])
    assert found.images.sources.tolist() == ["a", "f"]
    assert found.images.embedder == MeanColour().fingerprint
    assert found.images.norms_known is True
    assert found.reasons[0] is None
    assert "without length" in found.reasons[1]
    assert "style" in found.reasons[2]
    assert "without length" in found.reasons[3]
    assert "quality" in found.reasons[4]


def test_without_a_judge_there_is_no_quality_and_no_reason_for_it() -> None:
    found = embed_crops(CROPS, MeanColour())
    assert found.is_usable.tolist() == [True, False, False, False, True]
    assert found.images.quality is None
    assert found.images.sources is None


def test_no_crop_and_no_usable_crop_give_no_set() -> None:
    nothing = embed_crops([], MeanColour())
    assert (nothing.images, nothing.reasons, nothing.is_usable.shape) == (None, (), (0,))
    black = embed_crops([crop(0, 0, 0)] * 2, MeanColour(), sources=["a", "b"])
    assert black.images is None
    assert black.is_usable.tolist() == [False, False]


def test_quality_is_that_of_the_network_inside() -> None:
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    crops = list(rng.integers(0, 256, (3, 112, 112, 3)).astype(np.uint8))
    quality = CropQuality(num_threads=1)
    found = embed_crops(crops, MeanColour(), quality=quality)
    assert np.array_equal(found.images.quality, quality.judge(np.stack(crops)))
