"""The same network in fewer operations, for the exported graph: constants are folded together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from probefusion.nn.aggregation_network import AggregationNetwork, GatedMixerBlock
from probefusion.nn.cluster_network import NUM_HEADS, TOKEN_WIDTH, Assignment, SelfAttention
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
    - assignment: the centres are constants, so query, key map and scale become one small map;
    - self-attention: one operation that never holds the whole matrix of scores;
    - aggregation: what mixes across clusters multiplies from the left, so that nothing is transposed.

    Args:
        network: A network in evaluation mode; not changed.

    Returns:
        The copy, to be exported; it cannot be trained or saved under the official names.
    """
    folded = copy.deepcopy(network).eval()
    _fold_children(folded)
    return folded


def _fold_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        for original, replacement in _REPLACEMENTS.items():
            if isinstance(child, original):
                setattr(module, name, replacement(child))
                break
        else:
            _fold_children(child)


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
        return F.embedding(self.steps(norm), self.pe)


class _FoldedAssignment(Assignment):
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


class _FoldedSelfAttention(nn.Module):
    """`SelfAttention` that an exported graph computes in blocks, without the whole N x N matrix.

    The node is ONNX Runtime's own `MultiHeadAttention`, whose memory grows with N and not its square.
    """

    def __init__(self, original: SelfAttention) -> None:
        super().__init__()
        self.original = original

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (B, T, 128) to the same shape."""
        if not torch.onnx.is_in_onnx_export():
            attended: Tensor = self.original(tokens)
            return attended
        query, key, value = self.original.qkv(tokens).chunk(3, dim=-1)
        mixed = torch.onnx.ops.symbolic(
            "com.microsoft::MultiHeadAttention",
            [query, key, value],
            {"num_heads": NUM_HEADS},
            dtype=query.dtype,
            shape=query.shape,
            version=1,
        )
        projected: Tensor = self.original.proj(mixed)
        return projected


class _FoldedAggregation(AggregationNetwork):
    """`AggregationNetwork` that does not ask for the number of sets."""

    def __init__(self, original: AggregationNetwork) -> None:
        nn.ModuleList.__init__(self, original)
        _fold_children(self)

    def scores(self, centres: Tensor, cluster_style: Tensor) -> Tensor:
        """Maps (1, M, 128) and (B, M, 128) to (B, M, D) or (B, M, 1)."""
        width = centres.shape[-1]
        clusters = F.pad(cluster_style, (width, 0)) + F.pad(centres, (0, width))
        for layer in self:
            clusters = layer(clusters)
        return clusters


class _FoldedMixerBlock(nn.Module):
    """`GatedMixerBlock` without transposes."""

    def __init__(self, original: GatedMixerBlock) -> None:
        super().__init__()
        self.original = original

    def forward(self, clusters: Tensor) -> Tensor:
        """Maps (B, M, 256) to the same shape."""
        block = self.original
        across = block.tokens_mlp_block
        hidden = across.fc1.weight @ block.ln(clusters) + across.fc1.bias[:, None]
        mixed = across.fc2.weight @ across.act(hidden) + across.fc2.bias[:, None]
        gated = block.skip_connect_gate * clusters + mixed
        return gated + block.channels_mlp_block(block.ln(gated))


_REPLACEMENTS: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = {
    StyleMaker: _FoldedStyleMaker,
    NormEmbedding: _FoldedNormEmbedding,
    Assignment: _FoldedAssignment,
    SelfAttention: _FoldedSelfAttention,
    AggregationNetwork: _FoldedAggregation,
    GatedMixerBlock: _FoldedMixerBlock,
}
