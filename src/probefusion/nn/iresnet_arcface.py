"""IResNets of ArcFace: residual face embedders with style taps after stages 2 and 3.

They were trained on RGB. As in the official CAFace wrapper they are *fed* BGR, like the IR
networks, and reverse the channels inside. Parameter names are the official ones; without weights
the networks are of no use, and their first values are PyTorch's defaults.
"""

from __future__ import annotations

from torch import Tensor, nn

from probefusion.nn.backbone import (
    EMBEDDING_DIM,
    STAGE_WIDTHS,
    BackboneOutput,
    check_images,
    style_of_taps,
)

__all__ = ["IResNet", "iresnet18", "iresnet50", "iresnet100"]

HEAD_SIZE = 7
"""Height and width of the last maps."""


class IResNetUnit(nn.Module):
    """Residual unit: BN, conv, BN, PReLU, strided conv, BN; no activation after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module
        if stride == 1 and inputs == outputs:
            self.downsample = nn.Identity()
        else:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        inner = self.prelu(self.bn2(self.conv1(self.bn1(maps))))
        return self.bn3(self.conv2(inner)) + self.downsample(maps)


class IResNet(nn.Module):
    """Face embedder of the ArcFace releases.

    Args:
        units: Residual units in each of the four stages; the first of each stage halves the maps.

    Source: Kim et al. 2022, ArcFace embedder of CAFace.
    Differs: gives the raw embedding with the style statistics, not a unit embedding and its norm.
    """

    def __init__(self, units: tuple[int, int, int, int]) -> None:
        super().__init__()
        width = STAGE_WIDTHS[0]
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        stages = []
        for outputs, count in zip(STAGE_WIDTHS, units, strict=True):
            stage = [IResNetUnit(width, outputs, 2)]
            stage += [IResNetUnit(outputs, outputs, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*stage))
            width = outputs
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width * HEAD_SIZE * HEAD_SIZE, EMBEDDING_DIM)
        self.features = nn.BatchNorm1d(EMBEDDING_DIM)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embeds aligned faces.

        Args:
            images: (B, 3, 112, 112) BGR, (x / 255 - 0.5) / 0.5; reversed to RGB inside.

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
        stage1 = self.layer1(self.prelu(self.bn1(self.conv1(images.flip(1)))))
        stage2 = self.layer2(stage1)
        stage3 = self.layer3(stage2)
        stage4 = self.layer4(stage3)
        embedding = self.features(self.fc(self.bn2(stage4).flatten(1)))
        return embedding, (stage1, stage2, stage3, stage4)


def iresnet18() -> IResNet:
    """ArcFace IResNet-18, 2 + 2 + 2 + 2 units, without weights."""
    return IResNet((2, 2, 2, 2))


def iresnet50() -> IResNet:
    """ArcFace IResNet-50, 3 + 4 + 14 + 3 units, without weights."""
    return IResNet((3, 4, 14, 3))


def iresnet100() -> IResNet:
    """ArcFace IResNet-100, 3 + 13 + 30 + 3 units, without weights."""
    return IResNet((3, 13, 30, 3))
