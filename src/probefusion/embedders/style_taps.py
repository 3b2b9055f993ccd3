"""Style statistics of an embedder's mid-level maps, computed inside its own ONNX graph."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.embedders.onnx_graph import (
    constant_arrays,
    copy_model,
    image_input,
    import_onnx,
    opset_version,
)
from probefusion.errors import ConfigError, UnknownNameError
from probefusion.sessions import run_outputs, start_session

if TYPE_CHECKING:
    import onnx

__all__ = ["STYLE_OUTPUT", "add_style_output", "find_style_taps", "map_shapes"]

STYLE_OUTPUT = "probefusion.style"
"""Name of the output that `add_style_output` adds."""


def map_shapes(
    model: onnx.ModelProto, *, input_size: int = 112, names: Sequence[str] | None = None
) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shapes and types that tensors inside the graph really have, found by running one batch.

    Args:
        model: The network; not changed.
        input_size: Height and width of the images to run, in pixels.
        names: Tensors to look at. None: every output of a node in the main graph that static
            inference does not already show to be something else than a map at a quarter, an eighth
            or a sixteenth of the input size.

    Returns:
        Shape and dtype by name, in the order in which the graph computes them.

    Raises:
        UnknownNameError: If the graph computes no tensor of a given name.
        FileFormatError: If the model cannot be run.
    """
    onnx = import_onnx()
    computed = [name for node in model.graph.node for name in node.output if name]
    if names is None:
        names = _candidates(model, computed, input_size)
    for name in names:
        if name not in computed:
            raise UnknownNameError(
                "tensor", name, difflib.get_close_matches(name, computed, n=5, cutoff=0)
            )
    probe = copy_model(model)
    wanted = set(names)
    ordered = [name for name in computed if name in wanted]
    already = {entry.name for entry in probe.graph.output}
    for name in ordered:
        if name not in already:
            probe.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    if not ordered:
        return {}
    facts = image_input(model)
    batch = facts.fixed_batch or 1
    size = facts.size or input_size
    shape = (batch, size, size, 3) if facts.channels_last else (batch, 3, size, size)
    session = start_session(probe, num_threads=1)
    arrays = run_outputs(session, ordered, {facts.name: np.zeros(shape, facts.dtype)})
    return {
        name: (array.shape, array.dtype)
        for name, array in zip(ordered, arrays, strict=True)
        if isinstance(array, np.ndarray)
    }


def _candidates(model: onnx.ModelProto, computed: Sequence[str], input_size: int) -> list[str]:
    onnx = import_onnx()
    inferred = onnx.shape_inference.infer_shapes(model)
    known: dict[str, list[int]] = {}
    for entry in [*inferred.graph.value_info, *inferred.graph.output]:
        if entry.type.HasField("tensor_type") and entry.type.tensor_type.HasField("shape"):
            known[entry.name] = [axis.dim_value for axis in entry.type.tensor_type.shape.dim]
    sides = {input_size // step for step in (4, 8, 16)} | {0}
    constants = constant_arrays(model)
    return [
        name
        for name in computed
        if name not in constants
        and (
            name not in known
            or (len(known[name]) == 4 and known[name][2] in sides and known[name][3] in sides)
        )
    ]


def find_style_taps(model: onnx.ModelProto, *, input_size: int = 112) -> tuple[str, ...]:
    """Proposes the two maps that style should be taken from, for a network nothing is known of.

    The published taps are the outputs of the last units of stages 2 and 3, which are the last maps
    at a quarter (28x28) and at an eighth (14x14) of the input size. So for each of these sizes the
    last sum of two maps (the end of a residual unit) before the graph first goes on to the next
    smaller size is taken, or without such sums the last map of that size.

    Args:
        model: The network; not changed.
        input_size: Height and width of its input in pixels.

    Returns:
        Two tensor names, stage 2 first; () if the network has no map of one of these sizes.

    Raises:
        FileFormatError: If the model cannot be run.

    Source: Kim et al. 2022, sec. 3.2 (which stages).
    Differs: The paper names the units of its own backbone; here they are searched for.
    """
    facts = image_input(model)
    size = facts.size or input_size
    shapes = {
        name: shape
        for name, (shape, dtype) in map_shapes(model, input_size=size).items()
        if len(shape) == 4 and shape[1] > 1 and dtype.kind == "f"
    }
    used = _ancestors(model)
    order = {name: place for place, name in enumerate(shapes)}
    sides = {name: shape[2] for name, shape in shapes.items() if shape[2] == shape[3]}
    taps = []
    for step in (4, 8):
        side = size // step
        smaller = [order[name] for name, other in sides.items() if other == side // 2]
        end = min(smaller, default=len(order))
        maps = [
            name
            for name, other in sides.items()
            if other == side and order[name] < end and name in used
        ]
        sums = [name for name in maps if _is_residual_sum(model, name, shapes)]
        if not maps:
            return ()
        taps.append((sums or maps)[-1])
    return tuple(taps)


def _ancestors(model: onnx.ModelProto) -> set[str]:
    needed = {entry.name for entry in model.graph.output}
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
    return needed


def _is_residual_sum(
    model: onnx.ModelProto, name: str, shapes: Mapping[str, tuple[int, ...]]
) -> bool:
    node = next(node for node in model.graph.node if name in node.output)
    return (
        node.op_type in ("Add", "Sum")
        and len(node.input) > 1
        and all(shapes.get(source) == shapes[name] for source in node.input)
    )


def add_style_output(
    model: onnx.ModelProto, taps: Sequence[str], *, input_size: int = 112
) -> onnx.ModelProto:
    """A copy of the model with one more output: style, (N, C, 2) float32.

    Per channel of each map the mean and the unbiased standard deviation over height and width, the
    first tap's channels first. Deviations are squared after the mean is taken off, so that maps far
    from zero lose no digits. Only this small array leaves the graph, not the maps.

    Args:
        model: The network; not changed.
        taps: Names of tensors of shape (N, C_i, H_i, W_i).
        input_size: Height and width of its input in pixels.

    Returns:
        The model with the output `STYLE_OUTPUT`.

    Raises:
        UnknownNameError: If the graph computes no tensor of that name.
        ConfigError: If a tensor is no map of at least two pixels.
        FileFormatError: If the model cannot be run.

    Source: Kim et al. 2022, sec. 3.2 (style input).
    """
    onnx = import_onnx()
    found = map_shapes(model, input_size=input_size, names=taps)
    styled = copy_model(model)
    graph = styled.graph
    parts = []
    for place, tap in enumerate(taps):
        shape, dtype = found[tap]
        if len(shape) != 4 or shape[2] * shape[3] < 2 or dtype.kind != "f":
            raise ConfigError(
                f"style tap {tap!r}: expected a floating-point map of shape (N, C, H, W) with at "
                f"least two pixels, got {dtype} {shape}. Choose another tensor, or style_taps=()."
            )
        parts.append(_append_statistics(styled, tap, shape, dtype, f"{STYLE_OUTPUT}.{place}"))
    graph.node.append(onnx.helper.make_node("Concat", parts, [STYLE_OUTPUT], axis=1))
    channels = sum(found[tap][0][1] for tap in taps)
    graph.output.append(
        onnx.helper.make_tensor_value_info(STYLE_OUTPUT, onnx.TensorProto.FLOAT, ["N", channels, 2])
    )
    return styled


def _append_statistics(
    model: onnx.ModelProto, tap: str, shape: tuple[int, ...], dtype: np.dtype[Any], prefix: str
) -> str:
    onnx = import_onnx()
    graph = model.graph

    def constant(name: str, value: object, kind: Any) -> str:
        full = f"{prefix}.{name}"
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, kind), full))
        return full

    def node(op_type: str, inputs: list[str], name: str, **attributes: Any) -> str:
        full = f"{prefix}.{name}"
        graph.node.append(onnx.helper.make_node(op_type, inputs, [full], name=full, **attributes))
        return full

    def mean_over_pixels(source: str, name: str) -> str:
        if opset_version(model) >= 18:
            axes = constant(f"{name}_axes", [2, 3], np.int64)
            return node("ReduceMean", [source, axes], name, keepdims=1)
        return node("ReduceMean", [source], name, axes=[2, 3], keepdims=1)

    source = tap
    if dtype != np.float32:
        source = node("Cast", [tap], "float32", to=onnx.TensorProto.FLOAT)
    pixels = shape[2] * shape[3]
    mean = mean_over_pixels(source, "mean")
    centred = node("Sub", [source, mean], "centred")
    squares = node("Mul", [centred, centred], "squares")
    biased = mean_over_pixels(squares, "biased_variance")
    correction = constant("bessel", pixels / (pixels - 1), np.float32)
    variance = node("Mul", [biased, correction], "variance")
    std = node("Sqrt", [variance], "std")
    both = node("Concat", [mean, std], "both", axis=3)
    target = constant("shape", [0, shape[1], 2], np.int64)
    return node("Reshape", [both, target], "statistics")
