"""What is known of an image before its identity is looked at: style and norm, normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probefusion.nn.cluster_network import TOKEN_WIDTH
from probefusion.nn.style_input import NormEmbedding, StyleMaker

__all__ = ["NORM_EPSILON", "ImageToken"]

NORM_EPSILON = 1e-5
"""Added to the length of an embedding before dividing by it."""


class ImageToken(nn.Module):
    """Style Input Maker of the paper and a LayerNorm: one token and one direction per image.

    Args:
        style_channels: C; 0 leaves the style half of the token constant.
        sees_norm: False replaces the norm half by zeros, for embeddings whose length is lost.

    Source: Kim et al. 2022, Style Input Maker.
    """

    def __init__(self, style_channels: int, *, sees_norm: bool = True) -> None:
        super().__init__()
        self.style_channels = style_channels
        self.sees_norm = sees_norm
        if style_channels:
            self.style_maker = StyleMaker(style_channels)
        if sees_norm:
            self.norm_emb = NormEmbedding()
        self.norm_x = nn.LayerNorm(TOKEN_WIDTH)

    def forward(self, embeddings: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Gives token and direction of each image.

        Args:
            embeddings: (B, N, D) raw embeddings, length kept.
            style: (B, N, C, 2).

        Returns:
            (B, N, 128) tokens and (B, N, D) embeddings of length one.
        """
        # Written out because runtimes do these three steps several times faster than a norm.
        norm = (embeddings * embeddings).sum(dim=-1, keepdim=True).sqrt()
        nothing = embeddings.new_zeros(*embeddings.shape[:2], TOKEN_WIDTH // 2)
        parts = [
            self.style_maker(style) if self.style_channels else nothing,
            self.norm_emb(norm) if self.sees_norm else nothing,
        ]
        return self.norm_x(torch.cat(parts, dim=-1)), embeddings / (norm + NORM_EPSILON)
