"""Base of networks whose state is a plain sum over images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from probefusion.nn.interface import (
    DEFAULT_PREFIXES,
    TrainingPass,
    check_image_sets,
    check_prefixes,
    split_groups,
)

__all__ = ["ImageTerms", "ImagewiseNetwork"]


class ImageTerms(NamedTuple):
    """What each image adds to the sums; computed from that image alone.

    Attributes:
        shares: (..., M) weight of the image in each cluster, > 0.
        values: (..., D) what it contributes.
        style_tokens: (..., S) its style token.
    """

    shares: Tensor
    values: Tensor
    style_tokens: Tensor


class ImagewiseNetwork(nn.Module, ABC):
    """A network whose result depends on the images only through sums over them.

    Subclasses give `terms` and `read_out`. Because every term depends on one image and the rest is
    a function of the sums, the fused embedding is the same in any order and any split of the
    images, states merge by addition, and images can be taken out.

    Args:
        dim: D, length of an embedding.
        style_channels: C.
    """

    config: Any
    """Settings of the network, a frozen dataclass."""

    def __init__(self, *, dim: int, style_channels: int) -> None:
        super().__init__()
        self.dim = dim
        self.style_channels = style_channels

    @property
    def values_are_directions(self) -> bool:
        """Whether `terms` gives as values the embeddings over (their length + 1e-5), unchanged.

        Then an exported graph need not give them, and nobody has to move N x D numbers.
        """
        return False

    @abstractmethod
    def terms(self, embeddings: Tensor, style: Tensor) -> ImageTerms:
        """The terms of images (B, N, D), (B, N, C, 2): shares (B, N, M), values (B, N, D), ..."""

    @abstractmethod
    def read_out(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """Fuses sums (B, M), (B, M, D), (B, M, S).

        Returns:
            fused (B, D), not normalised, and cluster_weights (B, M), by which an image's share in
            a cluster counts.
        """

    def forward(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Fuses sets of equal size.

        Args:
            embeddings: (B, N, D) raw embeddings, length kept.
            style: (B, N, C, 2).

        Returns:
            (B, D), not normalised.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets.
        """
        check_image_sets(embeddings, style, dim=self.dim, style_channels=self.style_channels)
        return self._read_out_terms(self.terms(embeddings, style))

    def training_pass(
        self, embeddings: Tensor, style: Tensor, prefixes: Sequence[int] = DEFAULT_PREFIXES
    ) -> TrainingPass:
        """Fuses two groups per person at all prefix lengths, from one pass over the images.

        Args:
            embeddings: (B, 2K, D) raw embeddings, length kept; images 0..K-1 are group 1.
            style: (B, 2K, C, 2).
            prefixes: Lengths in 1..K.

        Returns:
            The fused embeddings; sequential and joint are one and the same here.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets or
                the number of images is odd.
            ConfigError: If a prefix is longer than a group.
        """
        check_image_sets(embeddings, style, dim=self.dim, style_channels=self.style_channels)
        terms = self.terms(embeddings, style)
        groups = [split_groups(part) for part in terms]
        size = groups[0][0].shape[1]
        check_prefixes(prefixes, size)
        lengths = torch.tensor(prefixes, device=embeddings.device)
        inside = torch.arange(size, device=embeddings.device) < lengths[:, None]  # (P, K)
        fused = []
        for index in range(2):
            shares, values, tokens = (part[index] for part in groups)
            masked = shares.transpose(1, 2)[:, None] * inside[:, None].to(shares)  # (B, P, M, K)
            flat = masked.flatten(1, 2)
            shape = masked.shape[:3]
            mass = masked.sum(dim=-1).flatten(0, 1)
            sums = (flat @ values).unflatten(1, shape[1:]).flatten(0, 1)
            style_sums = (flat @ tokens).unflatten(1, shape[1:]).flatten(0, 1)
            result = self.read_out(mass, sums, style_sums)[0]
            fused.append(result.unflatten(0, shape[:2]).transpose(0, 1))
        joint = self._read_out_terms(terms)
        return TrainingPass(prefix_fused=torch.stack(fused), sequential=joint, joint=joint)

    def _read_out_terms(self, terms: ImageTerms) -> Tensor:
        shares = terms.shares.transpose(1, 2)
        return self.read_out(shares.sum(dim=2), shares @ terms.values, shares @ terms.style_tokens)[
            0
        ]
