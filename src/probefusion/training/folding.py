"""The same network in fewer operations, for the exported graph: constants are folded together."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from probefusion.nn.cluster_network import TOKEN_WIDTH, Assignment
from probefusion.nn.style_input import NormEmbedding, StyleMaker

__all__ = ["fold_network"]

NetworkType = TypeVar("NetworkType", bound=nn.Module)

_PAIRS_PER_PRODUCT = 16
"""Channels whose (mean, deviation) pairs one product adds up; more costs more arithmetic."""


def fold_network(network: NetworkType) -> NetworkType:
    """A copy that computes the same in evaluation mode, up to float32 rounding, with less work.

    - style input maker: BatchNorm goes into the linear map; mean and deviation of a channel are
      added by a matrix product, which runtimes do several times faster than a sum over two numbers;
    - norm embedding: the learned scale goes into the table;
    - assignment: the centres are constants, so query, key map and scale become one small map.

    Args:
        network: A network in evaluation mode; not changed.

    Returns:
        The copy, to be exported; it cannot be trained or saved under the official names.
    """
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, StyleMaker):
                setattr(module, name, _FoldedStyleMaker(child))
            elif isinstance(child, NormEmbedding):
                setattr(module, name, _FoldedNormEmbedding(child))
            elif isinstance(child, Assignment):
                setattr(module, name, _FoldedAssignment(child))
    return folded


class _FoldedStyleMaker(nn.Module):
    """`StyleMaker` for constant weights."""

    channel_weights: Tensor
    weight: Tensor
    bias: Tensor
    pair_sum: Tensor

    def __init__(self, maker: StyleMaker) -> None:
        super().__init__()
        channels = len(maker.cfc)
        self.channels = channels
        self.group = math.gcd(channels, _PAIRS_PER_PRODUCT)
        with torch.no_grad():
            mean, variance = maker.bn.get_buffer("running_mean"), maker.bn.get_buffer("running_var")
            scale = maker.bn.weight / torch.sqrt(variance + maker.bn.eps)
            self.register_buffer("channel_weights", maker.cfc.flatten().clone())
            self.register_buffer("weight", maker.linear.weight * scale[:, None])
            self.register_buffer("bias", (maker.linear.bias - mean) * scale + maker.bn.bias)
            self.register_buffer("pair_sum", torch.eye(self.group).repeat_interleave(2, dim=0))
            self.slope = float(maker.relu.weight)

    def forward(self, style: Tensor) -> Tensor:
        """Maps (B, N, C, 2) to (B, N, 64)."""
        weighted = style.flatten(-2) * self.channel_weights
        combined = weighted.reshape(-1, 2 * self.group) @ self.pair_sum
        shaped = combined.reshape(*style.shape[:2], self.channels)
        return F.linear(F.leaky_relu(shaped, self.slope), self.weight, self.bias)


class _FoldedNormEmbedding(NormEmbedding):
    """`NormEmbedding` whose table is already scaled; the steps are cut at the very same norms."""

    def __init__(self, original: NormEmbedding) -> None:
        super().__init__()
        self.norm_bn = original.norm_bn
        with torch.no_grad():
            self.pe = original.pe * original.scale

    def forward(self, norm: Tensor) -> Tensor:
        """Maps (B, N, 1) to (B, N, 64)."""
        return self.pe[self.steps(norm)]


class _FoldedAssignment(nn.Module):
    """`Assignment` to constant centres."""

    def __init__(self, original: Assignment) -> None:
        super().__init__()
        self.q_proj = original.q_proj
        self.k_proj = original.k_proj

    def logits(self, centres: Tensor, tokens: Tensor) -> Tensor:
        """Maps (1, M, 128) and (B, N, 128) to (B, M, N)."""
        queries = self.q_proj(centres)[0] / math.sqrt(TOKEN_WIDTH)
        weight, bias = queries @ self.k_proj.weight, queries @ self.k_proj.bias
        return F.linear(tokens, weight, bias).transpose(1, 2)
