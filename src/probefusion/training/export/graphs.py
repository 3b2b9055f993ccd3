"""From PyTorch modules to plain ONNX graphs, without what the exporter says and notes beside them."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

__all__ = ["embedder_graph", "export_graph", "quiet_exporter", "strip_traces"]

OPSET = 20
"""Has Gelu and LayerNormalization as one operation each."""


def export_graph(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    axes: dict[str, dict[int, Any]],
    input_names: list[str],
    output_names: list[str],
    path: Path,
) -> None:
    """Writes a module as an ONNX graph with the given names.

    Args:
        module: Put into evaluation mode.
        inputs: Sample inputs.
        axes: Free axes of each input of `forward`.
        input_names: Names in the graph.
        output_names: Names in the graph.
        path: The file.
    """
    with quiet_exporter():
        torch.onnx.export(
            module.eval(),
            inputs,
            path,
            input_names=input_names,
            output_names=output_names,
            dynamic_shapes=axes,
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    model = onnx.load(path)
    strip_traces(model)
    onnx.save(model, path)


def embedder_graph(
    module: nn.Module, images: Tensor, *, input_name: str, map_names: Sequence[str]
) -> onnx.ModelProto:
    """An embedder as a graph with the one output `embedding` and maps that keep their names inside.

    Args:
        module: Gives the embedding, then the maps; put into evaluation mode.
        images: Sample input, at least two images; their number is left free.
        input_name: Name of the input in the graph, and of the argument of `module.forward`.
        map_names: Names of the maps, for style taps.
    """
    with quiet_exporter():
        program: Any = torch.onnx.export(
            module.eval(),
            (images,),
            input_names=[input_name],
            output_names=["embedding", *map_names],
            dynamic_shapes={input_name: {0: torch.export.Dim("images")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    kept = [entry for entry in model.graph.output if entry.name == "embedding"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    strip_traces(model)
    return model


def strip_traces(model: onnx.ModelProto) -> None:
    """Removes what the exporter notes beside a graph: source lines with paths of this machine.

    Args:
        model: Changed in place; what it computes stays.
    """
    graph = model.graph
    for part in (model, graph):
        part.ClearField("metadata_props")
    for entries in (graph.node, graph.value_info, graph.input, graph.output, graph.initializer):
        for entry in entries:
            entry.ClearField("metadata_props")
            entry.ClearField("doc_string")


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keeps the exporter's chatter out of the user's terminal; its errors still rise."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
