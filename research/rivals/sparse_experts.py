"""Sparse experts chosen by learned proxies (ProxyFusion)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.nn.image_token import NORM_EPSILON
from probefusion.nn.initialisation import seeded_init
from probefusion.nn.setwise import SetwiseNetwork
from research.rivals.config import RivalConfig

__all__ = ["SparseExperts"]


class SparseExperts(SetwiseNetwork):
    """Proxies most relevant to a set each weight its images by an expert; their results are added.

    Needs per image: the embedding alone. Cost: linear in N times the chosen proxies. Invariances:
    any order. Not the split: choice and weights depend on the whole set.

    Args:
        config: Size, with `num_proxies` and `num_chosen`.
        rng: Source of the first parameter values.

    Source: Jawade et al. 2024, ProxyFusion.
    Differs: one D-dimensional template, the relevance-weighted sum of the experts' results, in place
        of several that are matched each; experts are one small network told the proxy and the mean
        of the set; proxies are trained by the common loss alone.
    """

    def __init__(self, config: RivalConfig, *, rng: np.random.Generator | None = None) -> None:
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.proxies = nn.Parameter(torch.randn(config.num_proxies, config.dim))
            self.query = nn.Linear(3 * config.dim, config.hidden)
            self.score = nn.Linear(config.hidden, 1)

    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Sum of the chosen experts' weighted means."""
        del style
        norm = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
        images = embeddings / (norm + NORM_EPSILON)
        proxies = nn.functional.normalize(self.proxies, dim=-1)
        relevance = (images @ proxies.T).mean(dim=1) * self.dim**0.5
        best, chosen = relevance.topk(self.config.num_chosen, dim=-1)  # (B, E)
        scaled = images * self.dim**0.5
        experts = chosen.shape[1]
        shape = (len(images), experts, images.shape[1], self.dim)
        seen = torch.cat(
            [
                scaled[:, None].expand(shape),
                (proxies[chosen] * self.dim**0.5)[:, :, None].expand(shape),
                scaled.mean(dim=1)[:, None, None].expand(shape),
            ],
            dim=-1,
        )
        scores = self.score(nn.functional.gelu(self.query(seen))).squeeze(-1)
        per_expert = scores.softmax(dim=-1) @ images
        return (best.softmax(dim=-1).unsqueeze(-1) * per_expert).sum(dim=1)
