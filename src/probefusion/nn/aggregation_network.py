"""Aggregation Network: weights the M clusters and adds them up to one embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probefusion.nn.cluster_network import TOKEN_WIDTH
from probefusion.nn.mlp import Mlp

__all__ = ["AggregationNetwork"]

CLUSTER_WIDTH = 2 * TOKEN_WIDTH
"""Numbers per cluster: 128 of its centre and 128 of its style."""


class GatedMixerBlock(nn.Module):
    """Mixes across clusters, then within each; a learned gate scales the first shortcut.

    One LayerNorm serves both halves, as in the official code.
    """

    def __init__(self, num_clusters: int) -> None:
        super().__init__()
        self.skip_connect_gate = nn.Parameter(torch.tensor(1.0))
        self.ln = nn.LayerNorm(CLUSTER_WIDTH)
        self.tokens_mlp_block = Mlp(num_clusters, 2 * num_clusters, num_clusters)
        self.channels_mlp_block = Mlp(CLUSTER_WIDTH, CLUSTER_WIDTH // 2, CLUSTER_WIDTH)

    def forward(self, clusters: Tensor) -> Tensor:
        """Maps (B, M, 256) to the same shape."""
        mixed = self.tokens_mlp_block(self.ln(clusters).transpose(1, 2)).transpose(1, 2)
        gated = self.skip_connect_gate * clusters + mixed
        return gated + self.channels_mlp_block(self.ln(gated))


class AggregationNetwork(nn.ModuleList):
    """Maps M cluster embeddings to one fused embedding.

    A list of gated mixer blocks and a last perceptron (the official parameter names number them
    in one row), then a softmax over the clusters.

    Args:
        num_clusters: M.
        depth: Number of mixer blocks.
        weights_per_cluster: D for one weight per output dimension, 1 for one weight per cluster.

    Source: Kim et al. 2022, Aggregation Network.
    """

    def __init__(self, *, num_clusters: int, depth: int, weights_per_cluster: int) -> None:
        super().__init__([GatedMixerBlock(num_clusters) for _ in range(depth)])
        self.append(Mlp(CLUSTER_WIDTH, CLUSTER_WIDTH, weights_per_cluster))

    def forward(
        self, centres: Tensor, cluster_style: Tensor, cluster_embedding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fuses the clusters of each set.

        Args:
            centres: (1, M, 128) learned centres, untouched.
            cluster_style: (B, M, 128) S.
            cluster_embedding: (B, M, D) F.

        Returns:
            fused: (B, D), not normalised.
            cluster_weight: (B, M, D) or (B, M, 1), sums to 1 over M.
        """
        cluster_weight = self.scores(centres, cluster_style).softmax(dim=1)
        return (cluster_weight * cluster_embedding).sum(dim=1), cluster_weight

    def scores(self, centres: Tensor, cluster_style: Tensor) -> Tensor:
        """What the softmax over the clusters is taken of.

        Args:
            centres: (1, M, 128) learned centres, untouched.
            cluster_style: (B, M, 128) S.

        Returns:
            (B, M, D) or (B, M, 1).
        """
        centres = centres.expand(cluster_style.shape[0], -1, -1)
        clusters = torch.cat([centres, cluster_style], dim=-1)
        for layer in self:
            clusters = layer(clusters)
        return clusters
