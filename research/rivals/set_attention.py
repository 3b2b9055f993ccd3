"""A set encoder: self-attention between all images, then pooling."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.cluster_network import TransformerBlock
from probefusion.nn.image_token import ImageToken
from probefusion.nn.initialisation import init_linears, seeded_init
from probefusion.nn.setwise import SetwiseNetwork
from research.rivals.config import RivalConfig

__all__ = ["SetAttention"]


class SetAttention(SetwiseNetwork):
    """Two transformer blocks over the images of a set; each image then gets one weight.

    Needs per image: style, norm, embedding. Cost: quadratic in N, all images in memory.
    Invariances: any order. Not the split, no merge, no removal.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Vaswani et al. 2017 and Lee et al. 2019 (set transformer), with the blocks that Kim et
        al. 2022 use in their cluster network.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels)
            self.enter = nn.Linear(128 + config.dim, 128)
            self.blocks = nn.ModuleList([TransformerBlock(stochastic_depth=0.0) for _ in range(2)])
            self.norm = nn.LayerNorm(128)
            self.score = nn.Linear(128, 1)
            init_linears(self)

    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Weighted mean by scores that know the whole set."""
        tokens, directions = self.token(embeddings, style)
        seen = self.enter(torch.cat([tokens, directions * self.dim**0.5], dim=-1))
        for block in self.blocks:
            seen = block(seen)
        weights = self.score(self.norm(seen)).softmax(dim=1)
        return (weights * directions).sum(dim=1)
