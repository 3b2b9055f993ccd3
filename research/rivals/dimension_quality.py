"""Quality weights per image and output dimension: C-FAN and precisions after PFE."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.bounded import bounded
from probefusion.nn.image_token import NORM_EPSILON, ImageToken
from probefusion.nn.imagewise import ImageTerms, ImagewiseNetwork
from probefusion.nn.initialisation import seeded_init
from research.rivals.config import RivalConfig

__all__ = ["ComponentWise", "PrecisionWeighted"]


class _DimensionWeighted(ImagewiseNetwork):
    """Per dimension, sum of w v over sum of w. The state is both sums, (1, 2 D), so it is exact."""

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config

    @abstractmethod
    def _judge(self, embeddings: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of the weights and unit embeddings, both (B, N, D)."""

    def terms(self, embeddings: Tensor, style: Tensor) -> ImageTerms:
        """Shares of one; values (B, N, 2 D): weighted unit embeddings, then weights."""
        log_weights, directions = self._judge(embeddings, style)
        weights = bounded(log_weights, 4.0).exp()
        return ImageTerms(
            shares=torch.ones_like(weights[..., :1]),
            values=torch.cat([weights * directions, weights], dim=-1),
            style_tokens=weights[..., :0],
        )

    def read_out(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted mean of each dimension."""
        del style_sums
        weighted, weights = sums[:, 0].chunk(2, dim=-1)
        return (weighted / weights).float(), torch.ones_like(mass)


class ComponentWise(_DimensionWeighted):
    """One weight per image and dimension, judged from the embedding itself.

    Needs per image: the embedding alone. Cost: linear in N. Invariances: any order, any split,
    merge, removal.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Gong et al. 2019, C-FAN (component-wise feature aggregation network).
    Differs: weights from the final embedding through one hidden layer, since the embedder is
        frozen; the exponent is bounded.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(config)
        with seeded_init(rng):
            last = nn.Linear(config.hidden, config.dim)
            nn.init.zeros_(last.weight)
            self.quality = nn.Sequential(nn.Linear(config.dim, config.hidden), nn.GELU(), last)

    def _judge(self, embeddings: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        del style
        norm = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
        directions = embeddings / (norm + NORM_EPSILON)
        return self.quality(directions * self.dim**0.5), directions


class PrecisionWeighted(_DimensionWeighted):
    """Inverse-variance weighting: each image brings a variance per dimension.

    Needs per image: style, norm, embedding. Cost: linear in N. Invariances: any order, any split,
    merge, removal.

    Args:
        config: Size.
        rng: Source of the first parameter values.

    Source: Shi and Jain 2019, probabilistic face embeddings (PFE), fusion by precision.
    Differs: variances are learned through the fused result, not through mutual likelihood; they are
        judged from style, norm and embedding, since the embedder's last maps are not at hand.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(config)
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels)
            last = nn.Linear(config.hidden, config.dim)
            nn.init.zeros_(last.weight)
            self.log_variance = nn.Sequential(
                nn.Linear(128 + config.dim, config.hidden), nn.GELU(), last
            )

    def _judge(self, embeddings: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        tokens, directions = self.token(embeddings, style)
        seen = torch.cat([tokens, directions * self.dim**0.5], dim=-1)
        return -self.log_variance(seen), directions
