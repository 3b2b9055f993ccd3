"""Networks rebuilt from the parameters of a foreign checkpoint, and whether their ONNX files do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probefusion.embedders import EmbedderSpec, OnnxEmbedder
from probefusion.errors import FileFormatError, ProbeFusionError
from probefusion.nn import (
    BACKBONES,
    CAFace,
    IResNet,
    IRNetwork,
    config_of_official_state_dict,
    load_official_state_dict,
)
from probefusion.nn.backbone import EMBEDDING_DIM, IMAGE_SIZE, style_statistics
from probefusion.training.convert.declared_settings import check_decoder_name
from probefusion.training.convert.foreign_checkpoint import ForeignCheckpoint
from probefusion.training.convert.key_map import CheckpointParts

__all__ = ["build_fuser", "build_network", "measure_deviation"]

_ALLOWED_DEVIATION = 1e-4


def build_network(name: str, state: dict[str, Tensor]) -> IRNetwork | IResNet:
    """The network of that name in `BACKBONES` with these parameters, in evaluation mode."""
    with torch.device("meta"):
        network: Any = BACKBONES[name]()
    network.load_state_dict(state, strict=True, assign=True)
    built: IRNetwork | IResNet = network.eval().requires_grad_(False)
    return built


def build_fuser(parts: CheckpointParts, checkpoint: ForeignCheckpoint, where: str) -> CAFace | None:
    """The fuser of a checkpoint, in evaluation mode; None if it has none.

    Args:
        parts: Its parameters, sorted.
        checkpoint: The checkpoint, whose settings must fit them.
        where: Name of the file, for messages.

    Raises:
        FileFormatError: If the settings say something else than the parameters.
    """
    if not parts.fuser:
        return None
    kind = checkpoint.settings.get("aggregator_name")
    if kind is not None and not str(kind).startswith("style"):
        raise FileFormatError(
            f"{where}: aggregator_name: expected one beginning with 'style', as released, got {kind!r}."
        )
    config = config_of_official_state_dict(parts.fuser, dim=EMBEDDING_DIM)
    check_decoder_name(checkpoint.settings.get("decoder_name"), config, where=where)
    network = CAFace(config)
    load_official_state_dict(network, parts.fuser)
    return network.eval()


def measure_deviation(
    network: IRNetwork | IResNet, path: Path, spec: EmbedderSpec, stages: tuple[int, ...]
) -> float:
    """How far an exported embedder is from its network, relative to the largest number.

    Runs two images through the file as a user would, and through the network.

    Args:
        network: The network.
        path: The ONNX file.
        spec: Its description.
        stages: Stages that style is taken from, from 1.

    Raises:
        ProbeFusionError: If the network gives NaN or infinity, or the two differ.
    """
    crops = np.random.default_rng(0).integers(0, 256, (2, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    found = OnnxEmbedder(path, spec).embed(crops)
    pixels = crops if spec.channel_order == "RGB" else crops[..., ::-1]
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()
    with torch.no_grad():
        mean, std = (torch.tensor(value)[:, None, None] for value in (spec.mean, spec.std))
        embedding, maps = network.stages((images / 255 - mean) / std)
        style = torch.cat([style_statistics(maps[stage - 1]) for stage in stages], dim=1)
    deviation = 0.0
    for array, expected in zip(found, (embedding.numpy(), style.numpy()), strict=True):
        if array is None or not np.isfinite(expected).all():
            raise ProbeFusionError(
                "export: the network gives NaN or infinity for an ordinary image. Its weights are "
                "damaged or not those of this architecture."
            )
        deviation = max(deviation, float(np.abs(array - expected).max() / np.abs(expected).max()))
    if not deviation <= _ALLOWED_DEVIATION:
        raise ProbeFusionError(
            f"export: ONNX Runtime and PyTorch differ by {deviation:.3g} (allowed "
            f"{_ALLOWED_DEVIATION:g}). This is a defect of the export; please report it."
        )
    return deviation
