"""Cluster Network: shares each image among M learned centres and sums the shares."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from probefusion.nn.mlp import Mlp

__all__ = ["TOKEN_WIDTH", "Assignment", "BatchSummary", "ClusterNetwork", "TransformerBlock"]

TOKEN_WIDTH = 128
"""Numbers per image token: 64 of style and 64 of norm. Independent of the embedder."""

NUM_HEADS = 8
MLP_WIDTH = 512


class BatchSummary(NamedTuple):
    """What the cluster network keeps of N images: M clusters.

    Attributes:
        mass: (B, M) A, sum of the shares of all images, unclipped.
        cluster_embedding: (B, M, D) F, weighted sum of unit embeddings over max(A, 1).
        cluster_style: (B, M, 128) S, weighted sum of transformed tokens over max(A, 1).
        assignment: (B, M, N) a, share of each image in each cluster; sums to 1 over M.
    """

    mass: Tensor
    cluster_embedding: Tensor
    cluster_style: Tensor
    assignment: Tensor


class StochasticDepth(nn.Module):
    """Leaves a residual branch out for some samples of a training batch.

    Draws from PyTorch's global generator (`torch.manual_seed`); does nothing in evaluation mode.

    Args:
        rate: Probability that a sample loses the branch; survivors are divided by 1 - rate.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Maps (B, N, width) to the same shape."""
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        survivors = branch.new_full((branch.shape[0], 1, 1), keep).bernoulli()
        return branch * (survivors / keep)

    def extra_repr(self) -> str:
        """The rate, for printing the network."""
        return f"rate={self.rate:g}"


class SelfAttention(nn.Module):
    """Multi-head self-attention over the tokens, one fused projection to queries, keys, values."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(TOKEN_WIDTH, 3 * TOKEN_WIDTH)
        self.proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (B, T, 128) to the same shape."""
        split = self.qkv(tokens).unflatten(-1, (3, NUM_HEADS, TOKEN_WIDTH // NUM_HEADS))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, T, 16)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention, then a perceptron, each behind a LayerNorm and around a shortcut."""

    def __init__(self, stochastic_depth: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(TOKEN_WIDTH)
        self.attn = SelfAttention()
        self.norm2 = nn.LayerNorm(TOKEN_WIDTH)
        self.mlp = Mlp(TOKEN_WIDTH, MLP_WIDTH, TOKEN_WIDTH)
        self.drop_path = StochasticDepth(stochastic_depth)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (B, T, 128) to the same shape."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class Assignment(nn.Module):
    """Soft assignment of images to centres: scaled dot product, softmax over the centres."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)
        self.k_proj = nn.Linear(TOKEN_WIDTH, TOKEN_WIDTH)

    def logits(self, centres: Tensor, tokens: Tensor) -> Tensor:
        """How well each image fits each centre, before the softmax.

        Args:
            centres: (1, M, 128) normalised centres.
            tokens: (B, N, 128) normalised tokens.

        Returns:
            (B, M, N).
        """
        scores = self.q_proj(centres) @ self.k_proj(tokens).transpose(1, 2)
        return scores / math.sqrt(TOKEN_WIDTH)

    def forward(self, centres: Tensor, tokens: Tensor) -> Tensor:
        """Gives the shares.

        Args:
            centres: (1, M, 128) normalised centres.
            tokens: (B, N, 128) normalised tokens.

        Returns:
            (B, M, N), sums to 1 over M.
        """
        return self.logits(centres, tokens).softmax(dim=1)


class ClusterBlock(nn.Module):
    """Assigns the images to the centres and sums unit embeddings and tokens by their shares."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(TOKEN_WIDTH)
        self.norm_x = nn.LayerNorm(TOKEN_WIDTH)
        self.assign = Assignment()

    def forward(self, centres: Tensor, tokens: Tensor, directions: Tensor) -> BatchSummary:
        """Maps (1, M, 128), (B, N, 128), (B, N, D) to the M cluster sums.

        The divisor max(A, 1) is detached from the gradient; the returned mass is not.
        """
        tokens = self.norm_x(tokens)
        assignment = self.assign(self.norm_tokens(centres), tokens)
        mass = assignment.sum(dim=2)
        divisor = mass.clamp(min=1.0).detach().unsqueeze(2)
        return BatchSummary(
            mass=mass,
            cluster_embedding=(assignment @ directions) / divisor,
            cluster_style=(assignment @ tokens) / divisor,
            assignment=assignment,
        )


class ClusterNetwork(nn.Module):
    """Maps N image tokens to M clusters.

    The tokens and the learned centres go through a transformer together; the transformed centres
    are thrown away, and the transformed tokens are assigned to the untouched centres. There is no
    value projection: cluster embeddings are weighted sums of the unit embeddings themselves.

    Args:
        num_clusters: M.
        depth: Number of transformer blocks.
        stochastic_depth: Rate in the last block; grows linearly from 0 in the first.

    Source: Kim et al. 2022, Cluster Network.
    """

    def __init__(self, *, num_clusters: int, depth: int, stochastic_depth: float) -> None:
        super().__init__()
        centres = nn.init.orthogonal_(torch.empty(num_clusters, TOKEN_WIDTH))
        self.group_token = nn.Parameter(F.normalize(centres, dim=-1).unsqueeze(0))
        last = max(depth - 1, 1)
        self.blocks = nn.ModuleList(
            TransformerBlock(stochastic_depth * index / last) for index in range(depth)
        )
        self.cluster_block = ClusterBlock()

    def forward(self, tokens: Tensor, directions: Tensor) -> BatchSummary:
        """Clusters the images of each set.

        Args:
            tokens: (B, N, 128) style and norm of each image.
            directions: (B, N, D) unit embeddings.

        Returns:
            The summary of the N images.
        """
        num_images = tokens.shape[1]
        centres = self.group_token.expand(tokens.shape[0], -1, -1)
        sequence = torch.cat([tokens, centres], dim=1)
        for block in self.blocks:
            sequence = block(sequence)
        return self.cluster_block(self.group_token, sequence[:, :num_images], directions)
