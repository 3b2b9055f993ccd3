"""From an embedder network in PyTorch to an ONNX file whose style taps have names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from probefusion.files import replace_file
from probefusion.nn import IResNet, IRNetwork
from probefusion.nn.backbone import IMAGE_SIZE
from probefusion.training.export.graphs import embedder_graph

__all__ = ["STAGE_NAMES", "export_backbone"]

STAGE_NAMES = ("stage1", "stage2", "stage3", "stage4")
"""Names of the maps after each stage in the exported graph."""


class _WithStages(nn.Module):
    """images (N, 3, 112, 112) -> embedding (N, 512) and the maps after the four stages."""

    def __init__(self, network: IRNetwork | IResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        embedding, stages = self.network.stages(images)
        return embedding, *stages


def export_backbone(network: IRNetwork | IResNet, path: str | Path, *, force: bool = False) -> None:
    """Writes a network as ONNX: one input `images`, one output `embedding`, free batch axis.

    The maps after the four stages keep the names `STAGE_NAMES` inside the graph, so that style can
    be taken from them, and are no outputs.

    Args:
        network: The network with its weights; put into evaluation mode.
        path: The file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        MissingFileError: If its folder does not exist.
    """
    images = torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    model = embedder_graph(_WithStages(network), images, input_name="images", map_names=STAGE_NAMES)
    with replace_file(path, force=force) as stream:
        stream.write(model.SerializeToString())
