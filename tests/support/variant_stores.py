"""A variant store of made-up embeddings, without any image or model."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.training.extraction import extract_variants


class CountingEmbedder:
    """Embeds by a fixed random projection of the pixels; counts its calls; can be made to fail."""

    fingerprint = own_fingerprint = "projection@1"

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls = 0
        self.fail_at = fail_at
        rng = np.random.default_rng(5)
        self.matrix = rng.standard_normal((8 * 8 * 3, 12)).astype(np.float32)

    def embed(self, crops):
        self.calls += 1
        if self.fail_at is not None and self.calls >= self.fail_at:
            raise KeyboardInterrupt
        flat = crops.reshape(len(crops), -1).astype(np.float32) / 255
        style = np.stack([flat[:, :6], np.abs(flat[:, 6:12])], axis=-1)
        return flat @ self.matrix, style


def read_image(name: str):
    """An 8 x 8 image that depends on its name alone; images of one person look alike."""
    person, number = name.split("/")
    base = np.random.default_rng(int(person[1:])).integers(0, 256, (8, 8, 3))
    noise = np.random.default_rng([int(person[1:]), int(number)]).integers(-20, 20, (8, 8, 3))
    return np.clip(base + noise, 0, 255).astype(np.uint8)


def draw_variants(image, rng):
    noise = rng.integers(-40, 40, (4, *image.shape))
    return np.clip(image[None] + noise, 0, 255).astype(np.uint8)


PEOPLE = {f"p{k}": [f"p{k}/{n}" for n in range(1 + k % 3)] for k in range(12)}


@pytest.fixture
def extraction():
    """The arguments of an extraction, and the embedder class."""
    return PEOPLE, read_image, CountingEmbedder, draw_variants


@pytest.fixture
def store(tmp_path):
    return extract_variants(
        PEOPLE, read_image, CountingEmbedder(), draw_variants, tmp_path / "store", recipe="test"
    )
