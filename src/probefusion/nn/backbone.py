"""What the face embedders have in common: their output, their sizes, their style statistics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from probefusion.errors import DtypeError, ShapeError

__all__ = [
    "EMBEDDING_DIM",
    "IMAGE_SIZE",
    "STAGE_WIDTHS",
    "BackboneOutput",
    "check_images",
    "style_of_taps",
    "style_statistics",
]

EMBEDDING_DIM = 512
IMAGE_SIZE = 112
STAGE_WIDTHS = (64, 128, 256, 512)


class BackboneOutput(NamedTuple):
    """What an embedder gives for B images.

    Attributes:
        embedding: (B, 512) raw embedding, length kept.
        style: (B, 384, 2) mean and unbiased std per channel of the stage-2 maps (128 channels),
            then of the stage-3 maps (256 channels).
    """

    embedding: Tensor
    style: Tensor


def style_statistics(maps: Tensor) -> Tensor:
    """Mean and unbiased standard deviation of every channel over height and width.

    Args:
        maps: (B, C, H, W) with H * W at least 2.

    Returns:
        (B, C, 2).
    """
    values = maps.flatten(2)
    return torch.stack([values.mean(dim=2), values.std(dim=2, correction=1)], dim=-1)


def style_of_taps(stage2: Tensor, stage3: Tensor) -> Tensor:
    """Style statistics of the two tapped stages in one array, stage 2 first.

    Args:
        stage2: (B, 128, 28, 28).
        stage3: (B, 256, 14, 14).

    Returns:
        (B, 384, 2).
    """
    return torch.cat([style_statistics(stage2), style_statistics(stage3)], dim=1)


def check_images(images: Tensor) -> None:
    """Refuses tensors that are no batch of normalised 112 x 112 images.

    Raises:
        ShapeError: If the shape is not (B, 3, 112, 112).
        DtypeError: If the values are not floating point.
    """
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, IMAGE_SIZE, IMAGE_SIZE):
        raise ShapeError(
            f"images: expected shape (B, 3, {IMAGE_SIZE}, {IMAGE_SIZE}), got "
            f"{tuple(images.shape)}. Align the faces to 112 x 112 and put the channels first."
        )
    if not images.dtype.is_floating_point:
        raise DtypeError(
            f"images: expected floating-point values (x / 255 - 0.5) / 0.5, got {images.dtype}. "
            f"Normalise the images first."
        )
