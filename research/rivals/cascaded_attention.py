"""Two cascaded attention blocks over the embeddings (NAN)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.image_token import NORM_EPSILON
from probefusion.nn.initialisation import seeded_init
from probefusion.nn.setwise import SetwiseNetwork
from research.rivals.config import RivalConfig

__all__ = ["CascadedAttention"]


class CascadedAttention(SetwiseNetwork):
    """A learned kernel weights the images; the result makes the kernel of a second pass.

    Needs per image: the embedding alone. Cost: linear in N, two passes over the set. Invariances:
    any order. Not the split: the second kernel depends on the whole set, so nothing merges.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Yang et al. 2017, neural aggregation network (NAN).
    Differs: works on unit embeddings of a frozen embedder, scaled by sqrt(D).
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.kernel = nn.Parameter(torch.zeros(config.dim))
            self.transfer = nn.Linear(config.dim, config.dim)

    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Weighted mean by the second kernel."""
        del style
        norm = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
        images = embeddings / (norm + NORM_EPSILON)
        scaled = images * self.dim**0.5
        first = (scaled @ self.kernel).softmax(dim=1)
        summary = (first.unsqueeze(-1) * scaled).sum(dim=1)
        kernel = torch.tanh(self.transfer(summary))
        second = (scaled * kernel.unsqueeze(1)).sum(dim=-1).softmax(dim=1)
        return (second.unsqueeze(-1) * images).sum(dim=1)
