"""What every trainable fuser offers to the training loop, and the checks they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from probefusion.errors import ConfigError, DtypeError, EmptySetError, ShapeError

__all__ = [
    "DEFAULT_PREFIXES",
    "TrainableFuser",
    "TrainingPass",
    "check_image_sets",
    "check_prefixes",
    "split_groups",
]

DEFAULT_PREFIXES = (2, 4, 6, 8, 10, 12, 14, 16)
"""Set sizes at which the centre loss looks at each group of 16 images."""


class TrainingPass(NamedTuple):
    """Everything the losses need from one pass over B people with 2K images each.

    Attributes:
        prefix_fused: (2, P, B, D) fused embeddings, unnormalised: for each of the two groups and
            each of the P prefix lengths, the first images of that group in a call of their own.
        sequential: (B, D) fused after group 1, then group 2.
        joint: (B, D) fused with all 2K images in one call.
    """

    prefix_fused: Tensor
    sequential: Tensor
    joint: Tensor


@runtime_checkable
class TrainableFuser(Protocol):
    """A network the training loop can train: one method gives all that the losses compare."""

    def training_pass(
        self, embeddings: Tensor, style: Tensor, prefixes: Sequence[int] = DEFAULT_PREFIXES
    ) -> TrainingPass:
        """Fuses two groups per person at all prefix lengths, in sequence and jointly.

        Args:
            embeddings: (B, 2K, D) raw embeddings, length kept; images 0..K-1 are group 1.
            style: (B, 2K, C, 2) mean and unbiased std per style channel.
            prefixes: Lengths in 1..K, each fused for both groups.

        Returns:
            The fused embeddings, unnormalised.
        """
        ...  # pragma: no cover


def check_image_sets(embeddings: Tensor, style: Tensor, *, dim: int, style_channels: int) -> None:
    """Refuses tensors that are no batch of image sets.

    Values are not looked at (that would make every call wait for the device): whether they are
    finite is checked where an `EmbeddingSet` is built.

    Args:
        embeddings: Expected (B, N, dim), floating point.
        style: Expected (B, N, style_channels, 2), floating point.
        dim: Length of an embedding.
        style_channels: Number of style channels.

    Raises:
        ShapeError: If a shape does not fit or B or N differ between the two.
        DtypeError: If one of them is not floating point.
        EmptySetError: If there are no images.
    """
    for name, tensor, axes, tail in (
        ("embeddings", embeddings, 3, (dim,)),
        ("style", style, 4, (style_channels, 2)),
    ):
        if tensor.ndim != axes or tuple(tensor.shape[2:]) != tail:
            inner = ", ".join(map(str, tail))
            raise ShapeError(
                f"{name}: expected shape (B, N, {inner}), got {tuple(tensor.shape)}. "
                f"Put sets of equal size in one batch, or give one set as {name}[None]."
            )
        if not tensor.dtype.is_floating_point:
            raise DtypeError(
                f"{name}: expected a floating-point tensor, got {tensor.dtype}. Use .float()."
            )
    if embeddings.shape[0] != style.shape[0] or embeddings.shape[1] != style.shape[1]:
        raise ShapeError(
            f"style: expected one entry per image {tuple(embeddings.shape[:2])}, "
            f"got {tuple(style.shape[:2])}. Take both from the same images."
        )
    if embeddings.shape[1] == 0:
        raise EmptySetError(
            "embeddings: expected at least one image per set, got 0. Leave empty sets out."
        )


def split_groups(values: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of the images of every set.

    Args:
        values: (B, 2K, ...).

    Returns:
        Two views (B, K, ...).

    Raises:
        ShapeError: If the number of images is odd.
    """
    count = values.shape[1]
    if count % 2:
        raise ShapeError(
            f"embeddings: expected an even number of images (two groups of equal size), got {count}."
            f" Sample both groups with the same size."
        )
    return values[:, : count // 2], values[:, count // 2 :]


def check_prefixes(prefixes: Sequence[int], group_size: int) -> None:
    """Refuses prefix lengths that a group of `group_size` images does not have.

    Raises:
        ConfigError: If there is no prefix or one lies outside 1..group_size.
    """
    if not prefixes or min(prefixes) < 1 or max(prefixes) > group_size:
        raise ConfigError(
            f"prefixes: expected lengths from 1 to {group_size} (images in a group), "
            f"got {tuple(prefixes)}. Leave out the longer ones or sample larger groups."
        )
