"""People drawn as coloured squares, what finds them, and what embeds them."""

from __future__ import annotations

import numpy as np

from probefusion.embedders import EmbedderSpec
from probefusion.faces import Face
from probefusion.types import EmbeddingSet

COLOURS = ((250, 40, 40), (40, 250, 40), (60, 60, 250), (240, 240, 40))
"""People of the drawn videos are squares of these colours."""


class SquareDetector:
    """Finds the coloured squares, as a face detector finds faces."""

    def detect(self, image):
        found = []
        for colour in COLOURS:
            near = np.abs(image.astype(int) - colour).max(axis=2) < 60
            rows, columns = np.nonzero(near)
            if len(rows) < 30:
                continue
            top, left = rows.min(), columns.min()
            height, width = rows.max() - top + 1, columns.max() - left + 1
            landmarks = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
            found.append(
                Face(
                    box=np.array([left, top, width, height], np.float32),
                    landmarks=(landmarks * (width, height) + (left, top)).astype(np.float32),
                    score=0.95,
                )
            )
        return tuple(sorted(found, key=lambda face: -face.area))


class ColourEmbedder:
    """Embeds a crop by its mean colour; colours at right angles are people at right angles."""

    norms_known = True

    def __init__(self) -> None:
        self.spec = EmbedderSpec(name="colour", sha256="0" * 64, dim=8)
        self.fingerprint = self.spec.fingerprint

    def embed(self, crops):
        middle = crops[:, 40:72, 40:72].reshape(len(crops), -1, 3).mean(axis=1)
        hue = middle - middle.min(axis=1, keepdims=True) + 1
        hue /= np.linalg.norm(hue, axis=1, keepdims=True)
        rest = np.full((len(crops), 5), 0.05)
        rest[:, 0] = middle.sum(axis=1) / 10_000
        return (12 * np.hstack([hue, rest])).astype(np.float32), None

    def embed_set(self, crops, sources=None, media_ids=None):
        embeddings, _ = self.embed(crops)
        return EmbeddingSet(
            embeddings=embeddings,
            sources=sources,
            media_ids=media_ids,
            embedder=self.fingerprint,
            norms_known=self.norms_known,
        )


def two_people():
    """40 frames: red is there all the time, green leaves after 15 and blue comes after 25."""
    for number in range(40):
        frame = np.zeros((120, 200, 3), np.uint8)
        frame[20:60, 10 + number : 50 + number] = COLOURS[0]
        if number < 15:
            frame[60:100, 120:160] = COLOURS[1]
        if number >= 25:
            frame[60:100, 120:160] = COLOURS[2]
        yield frame
