"""Attention with a context of the whole set (CoNAN)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.image_token import ImageToken
from probefusion.nn.initialisation import seeded_init
from probefusion.nn.setwise import SetwiseNetwork
from research.rivals.config import RivalConfig

__all__ = ["ContextAttention"]


class ContextAttention(SetwiseNetwork):
    """Weights judged from each image beside a learned summary of the set.

    Needs per image: style, norm, embedding. Cost: linear in N, two passes over the set.
    Invariances: any order. Not the split: all weights depend on the whole set.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Jawade et al. 2023, conditional neural aggregation network (CoNAN).
    Differs: the context is the mean of learned per-image vectors of style, norm and embedding; the
        temporal stream is left out, since sets have no time.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels)
            self.describe = nn.Sequential(nn.Linear(128 + config.dim, config.hidden), nn.GELU())
            self.context = nn.Sequential(nn.Linear(config.hidden, config.hidden), nn.GELU())
            self.score = nn.Sequential(
                nn.Linear(2 * config.hidden, config.hidden), nn.GELU(), nn.Linear(config.hidden, 1)
            )

    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Weighted mean by scores that know the context."""
        tokens, directions = self.token(embeddings, style)
        images = self.describe(torch.cat([tokens, directions * self.dim**0.5], dim=-1))
        context = self.context(images.mean(dim=1, keepdim=True)).expand_as(images)
        weights = self.score(torch.cat([images, context], dim=-1)).softmax(dim=1)
        return (weights * directions).sum(dim=1)
