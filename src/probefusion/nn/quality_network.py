"""A small network that judges how much an aligned crop should count, for any embedder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.errors import ConfigError, ShapeError
from probefusion.nn.bounded import bounded
from probefusion.nn.initialisation import seeded_init

__all__ = ["QualityNetwork", "QualityNetworkConfig"]

CROP_SIZE = 112
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class QualityNetworkConfig:
    """Size of a quality network.

    Args:
        widths: Channels of the 28x28, the 14x14 and the 7x7 maps.
        hidden: Width of the layer before the result.
        max_log_weight: The result stays within +- this.

    Raises:
        ConfigError: If a value is out of range.
    """

    widths: tuple[int, int, int] = (24, 40, 56)
    hidden: int = 64
    max_log_weight: float = 4.0

    def __post_init__(self) -> None:
        if len(self.widths) != 3 or min(self.widths) < 1 or self.hidden < 1:
            raise ConfigError(
                f"widths, hidden: expected three and one number of at least 1, got {self.widths} and "
                f"{self.hidden}."
            )
        if not 0 < self.max_log_weight <= 4:
            raise ConfigError(
                f"max_log_weight: expected above 0 and at most 4, got {self.max_log_weight!r}."
            )


class QualityNetwork(nn.Module):
    """Three strided convolutions on the grey crop, statistics of two of them, one number.

    Mean and standard deviation per channel of the 28x28 and the 7x7 maps are read, as the style
    input maker does with an embedder's maps: sharpness and noise stand in the fine one, pose and
    occlusion in the coarse one. About 41,000 parameters, 4 million multiplications an image.

    Args:
        config: Size; None gives the default.
        rng: Source of the first parameter values.

    Source: the style statistics of Kim et al. 2022, taken from a network of its own.
    Differs: sees pixels, not an embedder's maps, so that its weights serve any embedder.
    """

    luma: Tensor

    def __init__(
        self, config: QualityNetworkConfig | None = None, *, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = QualityNetworkConfig() if config is None else config
        first, second, third = self.config.widths
        with seeded_init(rng):
            self.fine = _stage(1, first, kernel=7, stride=4)
            self.coarse = nn.Sequential(
                _stage(first, second, kernel=3, stride=2), _stage(second, third, kernel=3, stride=2)
            )
            self.judge = nn.Sequential(
                nn.Linear(2 * (first + third), self.config.hidden),
                nn.GELU(),
                nn.Linear(self.config.hidden, 1),
            )
        self.register_buffer("luma", torch.tensor(_LUMA))

    def forward(self, crops: Tensor) -> Tensor:
        """Judges crops.

        Args:
            crops: (N, 112, 112, 3) RGB with values 0 to 255, any numeric type; or (N, 112, 112) grey.

        Returns:
            (N,) logarithms of weights, within +- `max_log_weight`.

        Raises:
            ShapeError: If the crops have another shape.
        """
        if crops.shape[1:3] != (CROP_SIZE, CROP_SIZE) or crops.ndim not in (3, 4):
            raise ShapeError(
                f"crops: expected (N, 112, 112, 3) or (N, 112, 112), got {tuple(crops.shape)}."
            )
        values = crops.float()
        grey = values @ self.luma if crops.ndim == 4 else values
        fine = self.fine((grey / 255 - 0.5).unsqueeze(1))
        coarse = self.coarse(fine)
        statistics = [part for maps in (fine, coarse) for part in _mean_and_spread(maps)]
        log_weight = self.judge(torch.cat(statistics, dim=-1)).squeeze(-1)
        return bounded(log_weight, self.config.max_log_weight)


def _stage(channels_in: int, channels_out: int, *, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False
        ),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def _mean_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    mean = maps.mean(dim=(2, 3))
    spread = ((maps - mean[..., None, None]) ** 2).mean(dim=(2, 3))
    return mean, (spread + 1e-6).sqrt()
