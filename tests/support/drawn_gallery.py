"""Galleries of the people who are drawn in videos as squares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from drawn_video import COLOURS, ColourEmbedder

from probefusion.types import EmbeddingSet

NAMES = {"red": COLOURS[0], "green": COLOURS[1], "blue": COLOURS[2]}


def drawn_crops(name: str, count: int = 2) -> npt.NDArray[np.uint8]:
    """(count, 112, 112, 3) crops of the person of a colour, each a little lighter than the one before.

    Args:
        name: Of `NAMES`.
        count: How many.
    """
    lighter = 3 * np.arange(count)[:, None, None, None]
    crops = np.array(NAMES[name]) + lighter + np.zeros((count, 112, 112, 3))
    return np.clip(crops, 0, 255).astype(np.uint8)


def drawn_images(name: str, embedder: ColourEmbedder, count: int = 2) -> EmbeddingSet:
    """The same as the embedder of the videos sees them."""
    return embedder.embed_set(drawn_crops(name, count))
