"""One learned quality weight per image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.bounded import bounded
from probefusion.nn.image_token import ImageToken
from probefusion.nn.imagewise import ImageTerms, ImagewiseNetwork
from probefusion.nn.initialisation import seeded_init
from research.rivals.config import RivalConfig

__all__ = ["ScalarQuality"]


class ScalarQuality(ImagewiseNetwork):
    """Mean of unit embeddings, each weighted by exp of a number judged from its token.

    Needs per image: style and norm. Cost: linear in N. Invariances: any order, any split, merge,
    removal.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: the quality-weighted averages of the literature in their simplest learned form.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels)
            self.quality = nn.Sequential(
                nn.Linear(128, config.hidden), nn.GELU(), nn.Linear(config.hidden, 1)
            )

    def terms(self, embeddings: Tensor, style: Tensor) -> ImageTerms:
        """Weights (B, N, 1) and unit embeddings (B, N, D); no style is kept."""
        tokens, directions = self.token(embeddings, style)
        weights = bounded(self.quality(tokens), 4.0).exp()
        return ImageTerms(shares=weights, values=directions, style_tokens=tokens[..., :0])

    def read_out(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted mean."""
        del style_sums
        return (sums[:, 0] / mass).float(), torch.ones_like(mass)
