"""Drawn photos: people are squares of one colour, found by their colour and embedded by it."""

from __future__ import annotations

import drawn_video
import numpy as np
import pytest
from people_images import people_folder  # noqa: F401

from probefusion.embedders import EmbedderSpec
from probefusion.types import EmbeddingSet

cv2 = pytest.importorskip("cv2")

COLOURS = {"red": (250, 40, 40), "green": (40, 250, 40), "blue": (60, 60, 250)}


class SquareDetector(drawn_video.SquareDetector):
    """Finds the coloured squares; counts the images it was shown."""

    def __init__(self) -> None:
        self.num_seen = 0

    def detect(self, image):
        self.num_seen += 1
        return super().detect(image)


class ColourEmbedder:
    """Embeds a crop by its mean colour; a crop that is all black has no length."""

    norms_known = True

    def __init__(self) -> None:
        self.spec = EmbedderSpec(name="colour", sha256="0" * 64, dim=3)
        self.fingerprint = self.own_fingerprint = self.spec.fingerprint

    def embed(self, crops):
        middle = crops[:, 40:72, 40:72].reshape(len(crops), -1, 3).mean(axis=1)
        return middle.astype(np.float32), None

    def embed_set(self, crops, sources=None, media_ids=None):
        return EmbeddingSet(
            embeddings=self.embed(crops)[0], embedder=self.fingerprint, norms_known=True
        )


@pytest.fixture
def detector():
    return SquareDetector()


@pytest.fixture
def embedder():
    return ColourEmbedder()


@pytest.fixture
def draw():
    """Draws a photo with squares: draw(red=60, blue=30) gives their sides in pixels."""

    def photo(**sides: int):
        image = np.full((200, 300, 3), 128, np.uint8)
        for place, (name, side) in enumerate(sides.items()):
            left = 10 + 95 * place
            image[50 : 50 + side, left : left + side] = COLOURS[name]
        return image

    return photo


@pytest.fixture
def write():
    """Writes RGB pixels as a PNG, with the folders above it."""

    def save(path, image):
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image[..., ::-1])
        return path

    return save
