"""How much an aligned crop should count, from what a face embedder sees in it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probefusion.errors import ConfigError
from probefusion.nn.imagewise import ImagewiseNetwork
from research.compact_embedder.network import CompactEmbedder

__all__ = ["EmbedderQuality"]


class EmbedderQuality(nn.Module):
    """The logarithm of the weight that a fuser gives to crops as a compact embedder sees them.

    What makes an image useful to one embedder is mostly in the image, so the weights serve others.

    Args:
        embedder: The embedder.
        fuser: A fuser that judges images by their style and length alone, trained on the embedder's
            (`research.crop_quality.training.combine_stores`); the D of what it fuses does not matter.

    Raises:
        ConfigError: If the two do not fit, or the fuser looks at the embedding itself.
    """

    def __init__(self, embedder: CompactEmbedder, fuser: ImagewiseNetwork) -> None:
        super().__init__()
        channels = embedder.config.widths[1] + embedder.config.widths[2]
        if fuser.style_channels != channels:
            raise ConfigError(
                f"fuser: expected one for {channels} style channels, got {fuser.style_channels}."
            )
        if getattr(fuser.config, "sees_embedding", True):
            raise ConfigError(
                "fuser: expected one that judges by style and length alone (sees_embedding=False), got "
                "one that looks at the embedding, whose directions are another embedder's."
            )
        self.embedder = embedder
        self.fuser = fuser

    def forward(self, crops: Tensor) -> Tensor:
        """Judges crops.

        Args:
            crops: (N, 112, 112, 3) RGB with values 0 to 255, any numeric type.

        Returns:
            (N,) logarithms of weights.
        """
        pixels = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
        fine, middle, last = self.embedder.maps(pixels)
        style = torch.cat([_statistics(fine), _statistics(middle)], dim=1)
        embeddings = self.embedder.embed(last)
        shares = self.fuser.terms(embeddings.unsqueeze(0), style.unsqueeze(0)).shares
        return shares.sum(dim=-1).log().squeeze(0)


def _statistics(maps: Tensor) -> Tensor:
    """Mean and unbiased standard deviation of each channel, (N, C, 2)."""
    pixels = maps.shape[2] * maps.shape[3]
    mean = maps.mean(dim=(2, 3))
    variance = ((maps - mean[..., None, None]) ** 2).mean(dim=(2, 3)) * (pixels / (pixels - 1))
    return torch.stack([mean, variance.sqrt()], dim=-1)
