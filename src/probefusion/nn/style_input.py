"""Style Input Maker: what the cluster network sees of an image, its style and its quality."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["NUM_NORM_STEPS", "STYLE_WIDTH", "NormEmbedding", "StyleMaker", "norm_table"]

STYLE_WIDTH = 64
"""Numbers that describe the style of an image, and as many again that describe its norm."""

NORM_LIMIT = 3
"""Standardised norms are clipped to +- this many standard deviations."""

STEPS_PER_DEVIATION = 10
"""Resolution of the norm: table rows per standard deviation."""

NUM_NORM_STEPS = 2 * NORM_LIMIT * STEPS_PER_DEVIATION + 1
"""Rows of the norm table, 61."""


class StyleMaker(nn.Module):
    """Turns style statistics into 64 numbers per image.

    z_c = W[c,0] * mean_c + W[c,1] * std_c, then PReLU, Linear and BatchNorm. W starts at 0, so an
    untrained maker gives every image the same style.

    Args:
        style_channels: C, number of style channels (384 for IR networks at 112 x 112).

    Source: Kim et al. 2022, Style Input Maker.
    """

    def __init__(self, style_channels: int) -> None:
        super().__init__()
        self.cfc = nn.Parameter(torch.zeros(style_channels, 2))
        self.relu = nn.PReLU()
        self.linear = nn.Linear(style_channels, STYLE_WIDTH)
        self.bn = nn.BatchNorm1d(STYLE_WIDTH)

    def forward(self, style: Tensor) -> Tensor:
        """Gives s, the style part of the token.

        Args:
            style: (B, N, C, 2) mean and unbiased std per channel. In training mode the BatchNorm
                takes its statistics over all B x N images.

        Returns:
            (B, N, 64).
        """
        combined = (style * self.cfc).sum(dim=-1)
        values = self.linear(self.relu(combined))
        return self.bn(values.flatten(0, 1)).reshape(values.shape)


class NormEmbedding(nn.Module):
    """Turns the length of an embedding into 64 numbers, through a fixed table of sinusoids.

    The length is standardised by a BatchNorm without affine part, clipped to 3 deviations, cut
    into 61 steps and looked up; one learned scalar scales the result. No gradient reaches the
    embedder through the steps.

    Source: Kim et al. 2022, Style Input Maker (norm embedding).
    """

    pe: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.norm_bn = nn.BatchNorm1d(1, affine=False)
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.register_buffer("pe", norm_table())

    def forward(self, norm: Tensor) -> Tensor:
        """Gives e, the norm part of the token.

        Args:
            norm: (B, N, 1) lengths of the raw embeddings. In training mode every call updates the
                statistics of the BatchNorm, so the number and order of calls matter.

        Returns:
            (B, N, 64).
        """
        return self.pe[self.steps(norm)] * self.scale

    def steps(self, norm: Tensor) -> Tensor:
        """Gives the table row of each norm, (B, N) int64 in 0..60, from norms (B, N, 1)."""
        standard = self.norm_bn(norm.flatten(0, 1)).reshape(norm.shape)
        clipped = standard.clamp(-NORM_LIMIT, NORM_LIMIT)
        # The conversion to integers truncates toward zero, as in the official code: the middle
        # step is twice as wide as the others.
        step = (clipped * STEPS_PER_DEVIATION).to(torch.int64) + NORM_LIMIT * STEPS_PER_DEVIATION
        # Changes nothing for finite norms; keeps the index of a NaN inside the table.
        return step.clamp(0, NUM_NORM_STEPS - 1).squeeze(-1)


def norm_table() -> Tensor:
    """The fixed sinusoids that stand for the 61 norm steps.

    Returns:
        (61, 64) float32; column 2j is sin(p * w_j), column 2j + 1 is cos(p * w_j), with
        w_j = 10000 ** (-2j / 64) and p the row.
    """
    position = torch.arange(NUM_NORM_STEPS, dtype=torch.float32)[:, None]
    even = torch.arange(0, STYLE_WIDTH, 2, dtype=torch.float32)
    angle = position * torch.exp(even * (-math.log(10_000.0) / STYLE_WIDTH))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
