"""From the ONNX file of a compact embedder back to a network that can be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from probefusion.errors import MismatchError
from probefusion.files import check_existing
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig

__all__ = ["open_compact_embedder"]

_HALF = ".half"
_PREFIX = "network."


def open_compact_embedder(
    path: str | Path, pixels: Tensor, *, config: CompactEmbedderConfig | None = None
) -> CompactEmbedder:
    """The network that `export_compact_embedder` wrote, with BatchNorms that fit it again.

    The file holds convolutions that do the work of the BatchNorms after them. Each BatchNorm is given the
    mean and the variance of what comes into it, and the scale and shift that undo them: in evaluation mode
    the network answers as the file does, and in training mode nearly so.

    Args:
        path: The file.
        pixels: (N, 3, 112, 112) faces, as the network takes them, from which means and variances are taken;
            some hundred.
        config: Size of the network; None for the default.

    Raises:
        MissingFileError: If there is no such file.
        MismatchError: If it holds a network of another kind or size.
    """
    path = check_existing(path, name="compact embedder")
    stored = {
        tensor.name.removeprefix(_PREFIX).removesuffix(_HALF): torch.from_numpy(
            numpy_helper.to_array(tensor).astype("float32")
        )
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith(_PREFIX)
    }
    network = CompactEmbedder(config).eval()
    modules = dict(network.named_modules())
    norms: list[nn.BatchNorm2d] = []
    with torch.no_grad():
        for name, module in modules.items():
            if isinstance(module, nn.Conv2d):
                norm = cast(nn.BatchNorm2d, modules[f"{name[:-1]}1"])
                norms.append(norm)
                _copy(stored, f"{name}.weight", module.weight, path)
                _copy(stored, f"{name}.bias", norm.bias, path)
                norm.weight.fill_((1 + norm.eps) ** 0.5)
        _copy(stored, "embedding.weight", network.embedding.weight, path)
        _copy(stored, "embedding.bias", network.embedding.bias, path)
        if stored:
            raise MismatchError(
                f"{path}: expected a compact embedder of {network.config}, got one that also has "
                f"{', '.join(sorted(stored)[:3])}. Give the file of research/compact_embedder/ship.py."
            )
        _fit_norms(network, norms, pixels)
    return network


def _copy(stored: dict[str, Tensor], name: str, into: Tensor, path: Path) -> None:
    values = stored.pop(name, None)
    if values is None or values.shape != into.shape:
        got = "none" if values is None else str(tuple(values.shape))
        raise MismatchError(
            f"{path}: expected {name} of shape {tuple(into.shape)}, got {got}. Give the file of "
            f"research/compact_embedder/ship.py and the size it was trained with."
        )
    into.copy_(values)


def _fit_norms(network: CompactEmbedder, norms: list[nn.BatchNorm2d], pixels: Tensor) -> None:
    """Gives each BatchNorm the statistics of its input and the affine part that undoes them."""
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        entering = inputs[0]
        seen[norm] = entering.mean(dim=(0, 2, 3)), entering.var(dim=(0, 2, 3), unbiased=False)

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    network(pixels)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, variance = seen[norm]
        norm.bias.add_(mean)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.register_buffer("running_mean", mean)
        norm.register_buffer("running_var", variance)
