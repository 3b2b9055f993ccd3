"""The two faults of networks that MXNet 1.5 exported, which ONNX Runtime refuses; repaired in memory.

- `BatchNormalization` with `spatial = 0` and parameters (C,): with 0 every place of a map would have
  parameters of its own; one for each channel means 1.
- `PRelu` after maps (N, C, H, W) with a slope (C,): ONNX would spread it over the last axis; one for each
  channel is (C, 1, 1).

Both are recognised by the shapes of the parameters, which allow no other reading.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["repair_mxnet_export"]

_log = logging.getLogger("probefusion")

_MAKE_MAPS = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}
)
_KEEP_SHAPE = frozenset(
    {"BatchNormalization", "PRelu", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Identity", "Dropout"}
    | {"Add", "Sub", "Mul", "Div", "Cast"}
)


def repair_mxnet_export(model: onnx.ModelProto, *, where: str = "") -> int:
    """Repairs a network in place; one without these faults stays as it is.

    Args:
        model: The network.
        where: " model.onnx" or the like, for the note in the log.

    Returns:
        How many nodes were repaired.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    repaired = 0
    slopes: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            repaired += _make_spatial(node, weights)
        elif node.op_type == "PRelu" and len(node.input) == 2:
            slope = weights.get(node.input[1])
            if slope is None or len(slope.dims) != 1 or slope.dims[0] < 2:
                continue
            if _channels_of_maps(node.input[0], producers, weights) == slope.dims[0]:
                slopes[slope.name] = slope.dims[0]
    for name, channels in slopes.items():
        del weights[name].dims[:]
        weights[name].dims.extend([channels, 1, 1])
        _reshape_input(model, name, channels)
    repaired += len(slopes)
    if repaired:
        _log.info(
            "model%s: exported by MXNet; %d nodes with its known faults (BatchNormalization spatial=0, PRelu "
            "slopes) were repaired in memory",
            where,
            repaired,
        )
    return repaired


def _make_spatial(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Removes `spatial = 0` where the parameters are one for each channel; tells whether it did."""
    found = next((entry for entry in node.attribute if entry.name == "spatial"), None)
    scale = weights.get(node.input[1]) if len(node.input) > 1 else None
    if found is None or found.i != 0 or scale is None or len(scale.dims) != 1:
        return False
    node.attribute.remove(found)
    return True


def _channels_of_maps(
    name: str, producers: dict[str, onnx.NodeProto], weights: dict[str, onnx.TensorProto]
) -> int | None:
    """How many channels the maps of this name have; None where they are no maps or it is not known."""
    channels: int | None = None
    for _ in range(len(producers)):
        node = producers.get(name)
        if node is None:
            return None
        if node.op_type == "Conv":
            kernel = weights.get(node.input[1])
            return channels if kernel is None or not kernel.dims else int(kernel.dims[0])
        if node.op_type in _MAKE_MAPS and node.op_type != "ConvTranspose" and channels is not None:
            return channels
        if node.op_type == "BatchNormalization" and node.input[1] in weights:
            channels = int(weights[node.input[1]].dims[0])
        if node.op_type not in _KEEP_SHAPE and node.op_type not in _MAKE_MAPS:
            return None
        name = next((entry for entry in node.input if entry in producers), "")
    return None


def _reshape_input(model: onnx.ModelProto, name: str, channels: int) -> None:
    """Old files list weights among the inputs too, with their shapes."""
    for entry in model.graph.input:
        if entry.name == name:
            shape = entry.type.tensor_type.shape
            del shape.dim[:]
            for length in (channels, 1, 1):
                shape.dim.add().dim_value = length
