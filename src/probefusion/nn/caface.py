"""CAFace as published: style input, cluster network, aggregation network, sequential update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.errors import ConfigError
from probefusion.nn.aggregation_network import AggregationNetwork
from probefusion.nn.cluster_network import BatchSummary, ClusterNetwork
from probefusion.nn.initialisation import init_linears, seeded_init
from probefusion.nn.interface import (
    DEFAULT_PREFIXES,
    TrainingPass,
    check_image_sets,
    check_prefixes,
    split_groups,
)
from probefusion.nn.style_input import NormEmbedding, StyleMaker

__all__ = ["CAFace", "CAFaceConfig", "ClusterState"]

NORM_EPSILON = 1e-5
"""Added to the length of an embedding before dividing by it."""

MIN_TOTAL_MASS = 1e-6
"""Lower bound of the denominator in the sequential update."""


@dataclass(frozen=True, kw_only=True)
class CAFaceConfig:
    """Size and variant of a CAFace network; the defaults are the released ones.

    Args:
        dim: D, length of an embedding.
        style_channels: C, number of style channels the embedder's taps give.
        num_clusters: M (`gM` in official names).
        depth: Number of transformer blocks and of mixer blocks (2 for `small`, otherwise 3).
        per_dimension_weights: True for one cluster weight per output dimension (`conf512` in
            official names), False for one per cluster.
        stochastic_depth: Rate in the last transformer block, in [0, 1); training mode only.
        attends: False leaves the transformer blocks out; for ablations.
        sees_style: False replaces the style half of the tokens by zeros; for ablations.
        sees_norm: The same for the norm half.

    Raises:
        ConfigError: If a value is of the wrong type or out of range.
    """

    dim: int = 512
    style_channels: int = 384
    num_clusters: int = 4
    depth: int = 2
    per_dimension_weights: bool = True
    stochastic_depth: float = 0.1
    attends: bool = True
    sees_style: bool = True
    sees_norm: bool = True

    def __post_init__(self) -> None:
        for name in ("dim", "style_channels", "num_clusters", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"{name}: expected an integer of at least 1, got {value!r}. "
                    f"The released networks use {CAFaceConfig.__dataclass_fields__[name].default}."
                )
        for name in ("per_dimension_weights", "attends", "sees_style", "sees_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(
                    f"{name}: expected True or False, got {getattr(self, name)!r}. "
                    f"The released networks use True."
                )
        rate = self.stochastic_depth
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise ConfigError(
                f"stochastic_depth: expected a rate in [0, 1), got {rate!r}. "
                f"Use 0.0 to switch it off; the official training uses 0.1."
            )


class ClusterState(NamedTuple):
    """What is kept of a person between batches.

    Attributes:
        mass: (B, M) A, sum of the shares of all images so far.
        cluster_embedding: (B, M, D) F.
        cluster_style: (B, M, 128) S.
    """

    mass: Tensor
    cluster_embedding: Tensor
    cluster_style: Tensor


class FusionNetwork(nn.Module):
    """Holds the two networks behind the tokens under their official names."""

    def __init__(self, config: CAFaceConfig) -> None:
        super().__init__()
        self.clustering_layer = ClusterNetwork(
            num_clusters=config.num_clusters,
            depth=config.depth if config.attends else 0,
            stochastic_depth=config.stochastic_depth,
        )
        self.conf_mlp = AggregationNetwork(
            num_clusters=config.num_clusters,
            depth=config.depth,
            weights_per_cluster=config.dim if config.per_dimension_weights else 1,
        )


class CAFace(nn.Module):
    """Cluster and Aggregate: fuses the embeddings of N images of a person into one.

    No call leaves anything behind in the module: the state of a person is a value that `update`
    takes and gives. All tensors of one call hold sets of equal size. Inputs must be finite; a NaN
    comes out as NaN.

    The result of a set depends on how it is split into batches: self-attention sees one batch
    only, and the clipped division weights small batches less. It depends on the order of the
    batches not at all, beyond rounding.

    Args:
        config: Size and variant; None gives the released one.
        rng: Source of the first parameter values; None stands for `numpy.random.default_rng(0)`.

    Source: Kim et al. 2022, Cluster and Aggregate.
    Differs: the state is passed and returned, not kept in module attributes; a set of zero images
    is refused, not turned into a zero vector. Numbers agree with the official code.

    Example:
        >>> import torch
        >>> fuser = CAFace(CAFaceConfig(dim=8, style_channels=6)).eval()
        >>> embeddings, style = torch.ones(1, 5, 8), torch.ones(1, 5, 6, 2)
        >>> fuser(embeddings, style).shape
        torch.Size([1, 8])
        >>> state = None
        >>> for part in (slice(0, 3), slice(3, 5)):
        ...     state = fuser.update(state, fuser.encode(embeddings[:, part], style[:, part]))
        >>> fused, cluster_weight = fuser.finish(state)
    """

    def __init__(
        self, config: CAFaceConfig | None = None, *, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = CAFaceConfig() if config is None else config
        with seeded_init(rng):
            self.style_maker = StyleMaker(self.config.style_channels)
            self.norm_emb = NormEmbedding()
            self.fusion_net = FusionNetwork(self.config)
            init_linears(self.fusion_net)

    def encode(self, embeddings: Tensor, style: Tensor) -> BatchSummary:
        """Clusters the images of each set: M sums, whatever N is.

        Args:
            embeddings: (B, N, D) raw embeddings, length kept: the length is read as quality.
            style: (B, N, C, 2) mean and unbiased std of each style channel.

        Returns:
            Mass, cluster embedding, cluster style and assignment.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets.
        """
        self._check(embeddings, style)
        return self._encode(embeddings, self.style_maker(style))

    def update(
        self, state: ClusterState | BatchSummary | None, batch: BatchSummary
    ) -> ClusterState:
        """Adds the images of one batch to what is known of a person.

        Args:
            state: What is known so far; None for the first batch, which is the state as it is.
            batch: What `encode` gave for the new images. Its mass is unclipped and carries
                gradient both above and below the line.

        Returns:
            The new state.
        """
        if state is None:
            return ClusterState(batch.mass, batch.cluster_embedding, batch.cluster_style)
        mass = state.mass + batch.mass
        divisor = mass.clamp(min=MIN_TOTAL_MASS).unsqueeze(-1)
        old, new = state.mass.unsqueeze(-1), batch.mass.unsqueeze(-1)
        return ClusterState(
            mass=mass,
            cluster_embedding=(old * state.cluster_embedding + new * batch.cluster_embedding)
            / divisor,
            cluster_style=(old * state.cluster_style + new * batch.cluster_style) / divisor,
        )

    def finish(self, state: ClusterState | BatchSummary) -> tuple[Tensor, Tensor]:
        """Aggregates the clusters of each set to one embedding.

        Args:
            state: What `encode` or `update` gave.

        Returns:
            The fused embeddings (B, D), not normalised and short; divide by the length to compare. And
            the cluster weights (B, M, D), or (B, M, 1) without per-dimension weights; they sum to 1
            over M.
        """
        return self.fusion_net.conf_mlp(
            self.fusion_net.clustering_layer.group_token,
            state.cluster_style,
            state.cluster_embedding,
        )

    def forward(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Fuses each set in one call: `finish` of `encode`.

        Args:
            embeddings: (B, N, D) raw embeddings, length kept.
            style: (B, N, C, 2).

        Returns:
            (B, D), not normalised.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets.
        """
        return self.finish(self.encode(embeddings, style))[0]

    def training_pass(
        self, embeddings: Tensor, style: Tensor, prefixes: Sequence[int] = DEFAULT_PREFIXES
    ) -> TrainingPass:
        """Gives all that the official losses compare, with BatchNorm called in official order.

        The style maker runs once per group; its outputs are sliced for the prefixes and joined
        for the pass over all images. The norm embedding is computed anew in each of the
        2P + 3 passes: per prefix group 1 and group 2, then both groups in full, then all images.

        Args:
            embeddings: (B, 2K, D) raw embeddings, length kept; images 0..K-1 are group 1.
            style: (B, 2K, C, 2).
            prefixes: Lengths in 1..K.

        Returns:
            The fused embeddings, unnormalised.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets or
                the number of images is odd.
            ConfigError: If a prefix is longer than a group.
        """
        self._check(embeddings, style)
        groups = split_groups(embeddings)
        check_prefixes(prefixes, groups[0].shape[1])
        styles = tuple(self.style_maker(part) for part in split_groups(style))
        by_prefix = [
            torch.stack(
                [
                    self.finish(self._encode(images[:, :length], made[:, :length]))[0]
                    for images, made in zip(groups, styles, strict=True)
                ]
            )
            for length in prefixes
        ]
        first, second = (
            self._encode(images, made) for images, made in zip(groups, styles, strict=True)
        )
        sequential = self.update(self.update(None, first), second)
        joint = self._encode(embeddings, torch.cat(styles, dim=1))
        return TrainingPass(
            prefix_fused=torch.stack(by_prefix, dim=1),
            sequential=self.finish(sequential)[0],
            joint=self.finish(joint)[0],
        )

    def _check(self, embeddings: Tensor, style: Tensor) -> None:
        check_image_sets(
            embeddings, style, dim=self.config.dim, style_channels=self.config.style_channels
        )

    def _encode(self, embeddings: Tensor, made_style: Tensor) -> BatchSummary:
        norm = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
        parts = [made_style, self.norm_emb(norm)]
        if not self.config.sees_style:
            parts[0] = torch.zeros_like(parts[0])
        if not self.config.sees_norm:
            parts[1] = torch.zeros_like(parts[1])
        tokens = torch.cat(parts, dim=-1)
        return self.fusion_net.clustering_layer(tokens, embeddings / (norm + NORM_EPSILON))
