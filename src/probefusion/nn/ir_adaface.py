"""IR networks of AdaFace: residual face embedders with style taps after stages 2 and 3.

They take BGR images. Parameter names are the official ones, so released weights load unchanged;
without weights the networks are of no use, and their first values are PyTorch's defaults.
"""

from __future__ import annotations

from itertools import accumulate

from torch import Tensor, nn

from probefusion.nn.backbone import (
    EMBEDDING_DIM,
    STAGE_WIDTHS,
    BackboneOutput,
    check_images,
    style_of_taps,
)

__all__ = ["IRNetwork", "ir_18", "ir_50", "ir_101"]

HEAD_SIZE = 7
"""Height and width of the last maps."""


class IRUnit(nn.Module):
    """Residual unit: BN, conv, BN, PReLU, strided conv, BN; no activation after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == outputs:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return self.shortcut_layer(maps) + self.res_layer(maps)


class IRNetwork(nn.Module):
    """Face embedder of the AdaFace releases.

    Args:
        units: Residual units in each of the four stages; the first of each stage halves the maps.

    Source: Kim et al. 2022, AdaFace (embedder of CAFace).
    Differs: gives the raw embedding with the style statistics, not a unit embedding and its norm.
    """

    def __init__(self, units: tuple[int, int, int, int]) -> None:
        super().__init__()
        width = STAGE_WIDTHS[0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        body: list[IRUnit] = []
        for outputs, count in zip(STAGE_WIDTHS, units, strict=True):
            for index in range(count):
                body.append(IRUnit(width, outputs, 1 if index else 2))
                width = outputs
        self.body = nn.Sequential(*body)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(width * HEAD_SIZE * HEAD_SIZE, EMBEDDING_DIM),
            nn.BatchNorm1d(EMBEDDING_DIM, affine=False),
        )
        self._stage_ends = tuple(accumulate(units))

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embeds aligned faces.

        Args:
            images: (B, 3, 112, 112) BGR, (x / 255 - 0.5) / 0.5.

        Returns:
            Raw embeddings (B, 512) and style statistics (B, 384, 2).

        Raises:
            ShapeError, DtypeError: If the tensor is no such batch.
        """
        embedding, (_, stage2, stage3, _) = self.stages(images)
        return BackboneOutput(embedding, style_of_taps(stage2, stage3))

    def stages(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Raw embeddings (B, 512) and the maps after each of the four stages, as `forward` takes images.

        Raises:
            ShapeError, DtypeError: If the tensor is no such batch.
        """
        check_images(images)
        end1, end2, end3, _ = self._stage_ends
        stage1 = self.body[:end1](self.input_layer(images))
        stage2 = self.body[end1:end2](stage1)
        stage3 = self.body[end2:end3](stage2)
        stage4 = self.body[end3:](stage3)
        return self.output_layer(stage4), (stage1, stage2, stage3, stage4)


def ir_18() -> IRNetwork:
    """AdaFace IR-18, 2 + 2 + 2 + 2 units, without weights."""
    return IRNetwork((2, 2, 2, 2))


def ir_50() -> IRNetwork:
    """AdaFace IR-50, 3 + 4 + 14 + 3 units, without weights."""
    return IRNetwork((3, 4, 14, 3))


def ir_101() -> IRNetwork:
    """AdaFace IR-101, 3 + 13 + 30 + 3 units, without weights."""
    return IRNetwork((3, 13, 30, 3))
