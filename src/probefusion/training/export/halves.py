"""The two halves of a fuser network, as they become `encode.onnx` and `finish.onnx`."""

from __future__ import annotations

from torch import Tensor, nn

from probefusion.nn.caface import CAFace, ClusterState
from probefusion.nn.imagewise import ImagewiseNetwork
from probefusion.training.export.folding import fold_network

__all__ = ["ImagewiseEncode", "ImagewiseFinish", "SetwiseEncode", "SetwiseFinish"]


class ImagewiseEncode(nn.Module):
    """embeddings (N, D), style (N, C, 2) -> shares, values if they are its own, style_tokens.

    Networks that need no style take embeddings alone.
    """

    def __init__(self, network: ImagewiseNetwork) -> None:
        super().__init__()
        self.gives_values = not network.values_are_directions
        self.network = fold_network(network)

    def forward(self, embeddings: Tensor, style: Tensor | None = None) -> tuple[Tensor, ...]:
        """The terms of each image."""
        if style is None:
            style = embeddings.new_zeros(embeddings.shape[0], 0, 2)
        terms = self.network.terms(embeddings[:, None], style[:, None])
        values = (terms.values,) if self.gives_values else ()
        parts = (terms.shares, *values, terms.style_tokens)
        # a reshape of nothing (no style tokens) is refused by ONNX Runtime
        return tuple(part.flatten(0, 1) if part.shape[-1] else part[:, 0] for part in parts)


class ImagewiseFinish(nn.Module):
    """Float64 sums -> fused, cluster_weights."""

    def __init__(self, network: ImagewiseNetwork) -> None:
        super().__init__()
        self.network = fold_network(network)

    def forward(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """The fused embedding of each set."""
        return self.network.read_out(mass, sums, style_sums)


class SetwiseEncode(nn.Module):
    """embeddings (B, N, D), style (B, N, C, 2) -> mass, sums, style_sums, shares.

    The sums are mass x quotient, so that adding them is the sequential update; an image's share in
    them is its assignment times mass / max(mass, 1).
    """

    def __init__(self, network: CAFace) -> None:
        super().__init__()
        self.network = fold_network(network)

    def forward(self, embeddings: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The sums of each set."""
        batch = self.network.encode(embeddings, style)
        mass = batch.mass.unsqueeze(-1)
        shares = batch.assignment * (mass / mass.clamp(min=1.0))
        return (
            batch.mass,
            mass * batch.cluster_embedding,
            mass * batch.cluster_style,
            shares.transpose(1, 2),
        )


class SetwiseFinish(nn.Module):
    """Float64 sums -> fused, cluster_weights.

    Differs: the official update clips its denominator at 1e-6; here a cluster without any mass
    counts as zero and every other is divided by its mass.
    """

    def __init__(self, network: CAFace) -> None:
        super().__init__()
        self.network = fold_network(network)

    def forward(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """The fused embedding of each set."""
        divisor = mass.clamp(min=1e-30).unsqueeze(-1)
        state = ClusterState(mass.float(), (sums / divisor).float(), (style_sums / divisor).float())
        fused, weight = self.network.finish(state)
        return fused, weight.mean(dim=-1) / divisor.squeeze(-1).float().clamp(min=1e-30)
