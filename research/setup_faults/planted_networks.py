"""Faults planted into ONNX networks: dropout and BatchNorm as in training, a batch that mixes, an unused length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["NETWORK_FAULTS"]


def _embedding(model: Any) -> str:
    return str(model.graph.output[0].name)


def _free(model: Any) -> None:
    """Lets the batch have any size, as an export with dynamic axes does."""
    from probefusion.embedders.onnx_graph import free_batch_axis

    model.CopyFrom(free_batch_axis(model))


def _after(model: Any, nodes: Callable[[str, str], list[Any]]) -> None:
    """Puts nodes between the last one and the embedding."""
    name = _embedding(model)
    inner = f"{name}/before"
    for node in model.graph.node:
        for place, output in enumerate(node.output):
            if output == name:
                node.output[place] = inner
        for place, source in enumerate(node.input):
            if source == name:
                node.input[place] = inner
    model.graph.node.extend(nodes(inner, name))


def _constant(model: Any, name: str, value: Any) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def dropout(model: Any) -> None:
    """Dropout of a tenth of the embedding is on, as in a network exported in training mode."""
    ratio = _constant(model, "ratio", np.float32(0.1))
    mode = _constant(model, "is_training", np.array(True))
    _after(
        model,
        lambda source, target: [
            helper.make_node("Dropout", [source, ratio, mode], [target], name="dropout")
        ],
    )


def batch_statistics(model: Any) -> None:
    """The embedding is brought to mean 0 and variance 1 over the batch, as BatchNorm does in training."""
    _free(model)
    axes = _constant(model, "axes", np.array([0], np.int64))
    little = _constant(model, "little", np.float32(1e-5))

    def nodes(source: str, target: str) -> list[Any]:
        return [
            helper.make_node("ReduceMean", [source], ["mean"], axes=[0], keepdims=1)
            if _opset(model) < 18
            else helper.make_node("ReduceMean", [source, axes], ["mean"], keepdims=1),
            helper.make_node("Sub", [source, "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "centred"], ["squares"]),
            helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[0], keepdims=1)
            if _opset(model) < 18
            else helper.make_node("ReduceMean", ["squares", axes], ["variance"], keepdims=1),
            helper.make_node("Add", ["variance", little], ["positive"]),
            helper.make_node("Sqrt", ["positive"], ["deviation"]),
            helper.make_node("Div", ["centred", "deviation"], ["scaled"]),
            # Some of the embedding is left, so that it is not nothing where the batch is one image.
            helper.make_node("Add", ["scaled", source], [target]),
        ]

    _after(model, nodes)


def mixes_batch(model: Any) -> None:
    """A thirtieth of the batch's mean embedding is added to each: a slip in a Reshape does the like."""
    _free(model)
    axes = _constant(model, "axes", np.array([0], np.int64))
    share = _constant(model, "share", np.float32(1 / 30))

    def nodes(source: str, target: str) -> list[Any]:
        return [
            helper.make_node("ReduceMean", [source], ["mean"], axes=[0], keepdims=1)
            if _opset(model) < 18
            else helper.make_node("ReduceMean", [source, axes], ["mean"], keepdims=1),
            helper.make_node("Mul", ["mean", share], ["a_little"]),
            helper.make_node("Add", [source, "a_little"], [target]),
        ]

    _after(model, nodes)


def length_beside(model: Any) -> None:
    """The embedding is brought to length 1, and a second output holds its length (AdaFace)."""
    axes = _constant(model, "axes", np.array([1], np.int64))
    name = _embedding(model)
    _after(
        model,
        lambda source, target: [
            helper.make_node("ReduceL2", [source], ["norm"], axes=[1], keepdims=1)
            if _opset(model) < 18
            else helper.make_node("ReduceL2", [source, axes], ["norm"], keepdims=1),
            helper.make_node("Div", [source, "norm"], [target]),
        ],
    )
    shape = [entry.dim_value or "N" for entry in model.graph.output[0].type.tensor_type.shape.dim]
    del model.graph.output[:]
    for output, size in ((name, shape[1]), ("norm", 1)):
        model.graph.output.append(
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], size])
        )


def _opset(model: Any) -> int:
    return max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


NETWORK_FAULTS: Mapping[str, tuple[str, Callable[[onnx.ModelProto], None]]] = {
    "dropout is on": ("training-mode", dropout),
    "BatchNorm uses the batch": ("batch", batch_statistics),
    "images mix in a batch": ("batch", mixes_batch),
    "length thrown away": ("norm-output", length_beside),
}
"""Each fault: the check that should find it, and what plants it into a model."""
