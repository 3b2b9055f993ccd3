"""Base of networks that look at all images of a set at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from probefusion.nn.interface import (
    DEFAULT_PREFIXES,
    TrainingPass,
    check_image_sets,
    check_prefixes,
    split_groups,
)

__all__ = ["SetwiseNetwork"]


class SetwiseNetwork(nn.Module, ABC):
    """A network without a state: it needs the whole set in one call.

    Subclasses give `fuse_sets`. There is nothing to update, merge or take out; a set that grows is
    fused anew.

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

    @abstractmethod
    def fuse_sets(self, embeddings: Tensor, style: Tensor) -> Tensor:
        """Fuses checked sets (B, N, D), (B, N, C, 2) to (B, D), not normalised."""

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
        return self.fuse_sets(embeddings, style)

    def training_pass(
        self, embeddings: Tensor, style: Tensor, prefixes: Sequence[int] = DEFAULT_PREFIXES
    ) -> TrainingPass:
        """Fuses two groups per person at all prefix lengths, each in a call of its own.

        Args:
            embeddings: (B, 2K, D) raw embeddings, length kept; images 0..K-1 are group 1.
            style: (B, 2K, C, 2).
            prefixes: Lengths in 1..K.

        Returns:
            The fused embeddings. There is no sequential way: it stands for the joint one.

        Raises:
            ShapeError, DtypeError, EmptySetError: If the tensors are no batch of image sets or
                the number of images is odd.
            ConfigError: If a prefix is longer than a group.
        """
        check_image_sets(embeddings, style, dim=self.dim, style_channels=self.style_channels)
        groups = split_groups(embeddings)
        styles = split_groups(style)
        check_prefixes(prefixes, groups[0].shape[1])
        count = embeddings.shape[0]
        both, both_styles = torch.cat(groups), torch.cat(styles)
        fused = [
            self.fuse_sets(both[:, :length], both_styles[:, :length]).reshape(2, count, self.dim)
            for length in prefixes
        ]
        joint = self.fuse_sets(embeddings, style)
        return TrainingPass(prefix_fused=torch.stack(fused, dim=1), sequential=joint, joint=joint)
