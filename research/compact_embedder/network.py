"""A face embedder small enough to live inside the package."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from probefusion.errors import ConfigError, ShapeError
from probefusion.nn.initialisation import seeded_init

__all__ = ["CROP_SIZE", "CompactEmbedder", "CompactEmbedderConfig"]

CROP_SIZE = 112


@dataclass(frozen=True, kw_only=True)
class CompactEmbedderConfig:
    """Size of a compact embedder.

    Args:
        dim: D of the embedding.
        widths: Channels of the 56x56, 28x28, 14x14 and 7x7 maps.
        depths: Blocks that keep the size, on the 28x28, 14x14 and 7x7 maps.
        expansion: Width inside such a block over the width around it.
        head: Channels of the last 7x7 map.

    Raises:
        ConfigError: If a value is out of range.
    """

    dim: int = 128
    widths: tuple[int, int, int, int] = (32, 48, 112, 160)
    depths: tuple[int, int, int] = (2, 5, 3)
    expansion: int = 2
    head: int = 512

    def __post_init__(self) -> None:
        # Lists come from JSON.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "depths", tuple(self.depths))
        if len(self.widths) != 4 or len(self.depths) != 3:
            raise ConfigError(
                f"widths, depths: expected four and three numbers, got {self.widths} and "
                f"{self.depths}."
            )
        numbers = (self.dim, *self.widths, *self.depths, self.expansion, self.head)
        if any(isinstance(value, bool) or not isinstance(value, int) for value in numbers):
            raise ConfigError(f"CompactEmbedderConfig: expected whole numbers, got {numbers}.")
        if min(numbers) < 1:
            raise ConfigError(
                f"CompactEmbedderConfig: expected numbers of at least 1, got {numbers}."
            )


class CompactEmbedder(nn.Module):
    """Inverted residual blocks on four scales, then one weight per place and channel.

    Args:
        config: Size; None gives the default: 1.0 million parameters, 0.11 billion
            multiplications an image.
        rng: Source of the first parameter values.

    Attributes:
        style_stages: The parts whose outputs style is taken from: the 28x28 and the 14x14 maps.

    Source: blocks of Sandler et al. 2018, global depthwise layer of Chen et al. 2018
    (MobileFaceNets).
    Differs: half the width and depth at high resolution; a dense convolution where the maps are
    halved, which costs no more there and trains faster; ReLU, which runtimes join with the
    convolution before it.
    """

    def __init__(
        self, config: CompactEmbedderConfig | None = None, *, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = CompactEmbedderConfig() if config is None else config
        stem, fine, middle, coarse = self.config.widths
        num_fine, num_middle, num_coarse = self.config.depths
        expansion, head = self.config.expansion, self.config.head
        with seeded_init(rng):
            self.stem = _convolution(3, stem, kernel=3, stride=2)
            self.fine = _stage(stem, fine, num_fine, expansion)
            self.middle = _stage(fine, middle, num_middle, expansion)
            self.coarse = _stage(middle, coarse, num_coarse, expansion)
            self.head = _convolution(coarse, head, kernel=1)
            self.places = nn.Sequential(
                nn.Conv2d(head, head, 7, groups=head, bias=False), nn.BatchNorm2d(head)
            )
            self.embedding = nn.Linear(head, self.config.dim)
            nn.init.normal_(self.embedding.weight, std=0.5 / math.sqrt(head * self.config.dim))

    @property
    def style_stages(self) -> tuple[nn.Module, nn.Module]:
        """The stages that end in the 28x28 and the 14x14 maps."""
        return self.fine, self.middle

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps on the way to the embedding.

        Args:
            pixels: (N, 3, 112, 112), RGB, (pixel / 255 - 0.5) / 0.5.

        Returns:
            (N, C, 28, 28), (N, C, 14, 14) and the last, (N, head, 7, 7).

        Raises:
            ShapeError: If pixels have another shape.
        """
        if pixels.shape[1:] != (3, CROP_SIZE, CROP_SIZE):
            raise ShapeError(f"pixels: expected (N, 3, 112, 112), got {tuple(pixels.shape)}.")
        fine = self.fine(self.stem(pixels))
        middle = self.middle(fine)
        return fine, middle, self.head(self.coarse(middle))

    def embed(self, last: Tensor) -> Tensor:
        """The (N, D) embedding that belongs to the last (N, head, 7, 7) map."""
        embedding: Tensor = self.embedding(self.places(last).flatten(1))
        return embedding

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeds crops.

        Args:
            pixels: (N, 3, 112, 112), RGB, (pixel / 255 - 0.5) / 0.5.

        Returns:
            (N, D), length kept: it is the longer the surer the network is.
        """
        return self.embed(self.maps(pixels)[-1])


class _Block(nn.Module):
    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.widen = _convolution(channels, inside, kernel=1)
        self.depthwise = _convolution(inside, inside, kernel=3, groups=inside)
        self.narrow = _convolution(inside, channels, kernel=1, is_linear=True)

    def forward(self, maps: Tensor) -> Tensor:
        narrowed: Tensor = self.narrow(self.depthwise(self.widen(maps)))
        return maps + narrowed


def _stage(channels_in: int, channels: int, num_blocks: int, expansion: int) -> nn.Sequential:
    halve = _convolution(channels_in, channels, kernel=3, stride=2, is_linear=True)
    return nn.Sequential(
        halve, *(_Block(channels, expansion * channels) for _ in range(num_blocks))
    )


def _convolution(
    channels_in: int,
    channels_out: int,
    *,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    is_linear: bool = False,
) -> nn.Sequential:
    convolution = nn.Conv2d(
        channels_in,
        channels_out,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    last = [] if is_linear else [nn.ReLU()]
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), *last)
