"""From a trained compact embedder to the small ONNX file that the package carries."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from probefusion.errors import ProbeFusionError
from probefusion.files import replace_file
from probefusion.sessions import run_outputs, start_session
from probefusion.training.export.fuser_folder import round_weights
from probefusion.training.export.graphs import embedder_graph
from research.compact_embedder import read_state
from research.compact_embedder.network import CROP_SIZE, CompactEmbedder, CompactEmbedderConfig

__all__ = [
    "MAP_NAMES",
    "TrainedEmbedder",
    "export_compact_embedder",
    "fold_batch_norms",
    "read_compact_embedder",
    "store_halves",
]

MAP_NAMES = ("fine", "middle")
"""Names of the 28x28 and the 14x14 map in the exported graph, for `EmbedderSpec.style_taps`."""

_TOLERANCE = 1e-4
"""How far (max|a-b| / max|b|) the file may be from the network with the same rounded weights."""

_LEAST_COSINE = 0.999
"""How alike an embedding is at the least before and after rounding weights to 16 bits."""


class TrainedEmbedder(NamedTuple):
    """What a training left behind.

    Attributes:
        network: In evaluation mode.
        steps: Steps it was trained for.
        stages: Settings of the training, each from its `from_step` on.
    """

    network: CompactEmbedder
    steps: int
    stages: list[dict[str, Any]]


def read_compact_embedder(path: str | Path) -> TrainedEmbedder:
    """The network in a saved state of `Distiller`, and how it was trained.

    Args:
        path: File written by `Distiller.save`; read without running any code in it.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it holds no such state.
    """
    found = read_state(path)
    network = CompactEmbedder(CompactEmbedderConfig(**found["config"]))
    network.load_state_dict(found["network"])
    return TrainedEmbedder(network.eval(), int(found["step"]), list(found["stages"]))


def fold_batch_norms(network: CompactEmbedder) -> CompactEmbedder:
    """A copy in which each convolution does the work of the BatchNorm after it.

    Computes the same in evaluation mode up to float32 rounding; cannot be trained on.

    Args:
        network: Not changed.
    """
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue
        convolution, norm = module[0], module[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module[0] = fuse_conv_bn_eval(convolution, norm)
            module[1] = nn.Identity()
    return folded


class _WithMaps(nn.Module):
    """pixels (N, 3, 112, 112) -> embedding (N, D), the 28x28 and the 14x14 map."""

    def __init__(self, network: CompactEmbedder) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine, middle, last = self.network.maps(pixels)
        return self.network.embed(last), fine, middle


def export_compact_embedder(
    network: CompactEmbedder, path: str | Path, *, force: bool = False
) -> None:
    """Writes a network as ONNX: one input `pixels`, one output `embedding`, free batch axis.

    Input is (N, 3, 112, 112) float32, RGB, (pixel / 255 - 0.5) / 0.5; output (N, D) float32, length
    kept. The maps keep the names `MAP_NAMES` inside the graph and are no outputs. BatchNorms are
    folded into the convolutions; matrices are rounded to 16 bits and turned into 32 by a Cast, which
    runtimes do once, when they load the file.

    Args:
        network: The network with its weights; not changed.
        path: The file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        MissingFileError: If its folder does not exist.
        ProbeFusionError: If the file would not answer as the network does.
    """
    rounded = fold_batch_norms(network)
    round_weights(rounded)
    pixels = torch.zeros(2, 3, CROP_SIZE, CROP_SIZE)
    model = embedder_graph(_WithMaps(rounded), pixels, input_name="pixels", map_names=MAP_NAMES)
    store_halves(model)
    _compare(model, network, rounded)
    with replace_file(path, force=force) as stream:
        stream.write(model.SerializeToString())


def store_halves(model: onnx.ModelProto) -> None:
    """Stores matrices that 16 bits hold exactly in 16 bits, with a Cast before their use.

    Args:
        model: Changed in place; what it computes stays.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2:
            continue
        halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(halves, f"{name}.half"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *graph.node]
    known = {name for node in casts for name in node.output}
    infos = [entry for entry in graph.value_info if entry.name not in known]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    graph.value_info.extend(infos)


def _compare(model: onnx.ModelProto, network: CompactEmbedder, rounded: CompactEmbedder) -> None:
    """Refuses a graph that does not answer as the network, for one image and for several."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(5, 3, CROP_SIZE, CROP_SIZE, generator=generator) * 2 - 1
    session = start_session(model, num_threads=1)
    with torch.no_grad():
        expected, exact = rounded(pixels), copy.deepcopy(network).eval()(pixels)
    for count in (1, len(pixels)):
        (found,) = run_outputs(session, ["embedding"], {"pixels": pixels[:count].numpy()})
        wanted = expected[:count].numpy()
        deviation = float(np.abs(found - wanted).max() / np.abs(wanted).max())
        if not deviation <= _TOLERANCE:
            raise ProbeFusionError(
                f"export: ONNX Runtime and PyTorch differ by {deviation:.3g} of the largest value "
                f"(allowed {_TOLERANCE:g}). This is a defect of the export; please report it with "
                f"the versions of both."
            )
    cosine = float(nn.functional.cosine_similarity(expected, exact).min())
    if not cosine >= _LEAST_COSINE:
        raise ProbeFusionError(
            f"export: 16-bit weights turn an embedding away from the network's (cosine {cosine:.5f}, "
            f"expected at least {_LEAST_COSINE}). Train on, or look for weights beyond 65504."
        )
