"""A gated recurrent unit over the images, in the order in which they come."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.image_token import ImageToken
from probefusion.nn.initialisation import seeded_init
from probefusion.nn.setwise import SetwiseNetwork
from research.rivals.config import RivalConfig

__all__ = ["Recurrent"]


class Recurrent(SetwiseNetwork):
    """A GRU reads image after image; what it ends with corrects its weighted mean.

    Each step gives a weight to its image from what has been seen so far; the last state adds a
    correction.

    Needs per image: style, norm, embedding. Cost: linear in N, one image after the other.
    Invariances: none. Another order of the same images gives another template.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Cho et al. 2014 (GRU); the recurrent aggregation that Kim et al. 2022 compare with.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels)
            self.gru = nn.GRU(128 + config.dim, config.hidden, batch_first=True)
            self.score = nn.Linear(config.hidden, 1)
            self.correction = nn.Linear(config.hidden, config.dim)
            nn.init.zeros_(self.correction.weight)

    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Weighted mean plus a correction from the last state."""
        tokens, directions = self.token(embeddings, style)
        states, _ = self.gru(torch.cat([tokens, directions * self.dim**0.5], dim=-1))
        weights = self.score(states).softmax(dim=1)
        return (weights * directions).sum(dim=1) + self.correction(states[:, -1])
