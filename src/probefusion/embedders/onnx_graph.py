"""Reading and rewriting ONNX graphs: what goes in, what comes out, and a free batch axis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.embedders.mxnet_export import repair_mxnet_export
from probefusion.errors import FileFormatError, IntegrityError
from probefusion.extras import import_extra
from probefusion.files.reading import read_bytes

if TYPE_CHECKING:
    import onnx

__all__ = [
    "ImageInput",
    "constant_arrays",
    "copy_model",
    "free_batch_axis",
    "image_input",
    "import_onnx",
    "opset_version",
    "read_model",
]

_LARGEST = (1 << 31) - 1
"""Bytes of an ONNX file at most, as the format has it."""

_MIN_OPSET = 7


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """The one input of a network that takes images.

    Args:
        name: Name of the input tensor.
        dtype: float32, float16 or float64.
        channels_last: Whether its layout is (N, H, W, 3) and not (N, 3, H, W).
        size: Height and width in pixels, or None where the graph leaves them free.
        fixed_batch: The batch size written into the graph, or None where it is free.
    """

    name: str
    dtype: np.dtype[Any]
    channels_last: bool
    size: int | None
    fixed_batch: int | None


def import_onnx() -> Any:
    """The `onnx` package.

    Raises:
        MissingExtraError: If it is not installed.
    """
    return import_extra("onnx", extra="faces", purpose="reading an embedder's ONNX file")


def read_model(path: str | Path, *, sha256: str | None = None) -> tuple[onnx.ModelProto, str]:
    """Reads an ONNX file and the SHA-256 of the very bytes that were read.

    Args:
        path: The `.onnx` file; its weights must be inside.
        sha256: The hash that the file must have, or None.

    Returns:
        The model, with the faults of MXNet's exporter repaired (see `probefusion.embedders.mxnet_export`) and
        without inputs that need no feeding (see `drop_idle_inputs`), and the file's SHA-256 as 64
        hexadecimal digits.

    Raises:
        MissingFileError: If there is no such file.
        IntegrityError: If the hash is another one.
        FileFormatError: If it is no ONNX model, or keeps weights in a second file.
    """
    data = read_bytes(path, at_most=_LARGEST, name="model")
    path = Path(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise IntegrityError(
            f"model {str(path)!r}: expected SHA-256 {sha256}, got {found}. The file is damaged or "
            f"another one; fetch it again, or describe it under a name of its own."
        )
    onnx_package = import_onnx()
    protobuf = import_extra("google.protobuf.message", extra="faces", purpose="reading ONNX files")
    model: onnx.ModelProto = onnx_package.ModelProto()
    try:
        model.ParseFromString(data)
    except protobuf.DecodeError as error:
        raise FileFormatError(
            f"model {str(path)!r}: expected an ONNX model, could not read it ({error}). "
            f"Fetch the file again."
        ) from error
    if not model.graph.node or not model.graph.output:
        raise FileFormatError(
            f"model {str(path)!r}: expected an ONNX model, got a file of {len(data)} bytes without "
            f"a graph. Fetch the file again."
        )
    external = onnx_package.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in _tensors(model.graph)):
        raise FileFormatError(
            f"model {str(path)!r}: keeps weights in a second file, which its hash does not cover. "
            f"Put them inside: onnx.save(onnx.load('{path.name}'), 'single.onnx')."
        )
    if opset_version(model) < _MIN_OPSET:
        raise FileFormatError(
            f"model {str(path)!r}: expected opset {_MIN_OPSET} or newer, "
            f"got {opset_version(model)}. Convert it with onnx.version_converter."
        )
    repair_mxnet_export(model, where=f" {path.name!r}")
    drop_idle_inputs(model.graph)
    return model, found


def drop_idle_inputs(graph: onnx.GraphProto) -> None:
    """Takes inputs out of a graph that nobody can feed or needs to: those that a node makes, or no node reads.

    Tools that quantise a model's weights leave the old ones behind as such inputs; the runtime then refuses the
    file. Nothing is taken if no input were left.

    Args:
        graph: The main graph; changed.
    """
    made = {name for node in graph.node for name in node.output}
    read = {name for node in _nodes(graph) for name in node.input}
    weights = {tensor.name for tensor in graph.initializer}  # which older files list as inputs too
    needed = (read - made) | weights
    kept = [entry for entry in graph.input if entry.name in needed]
    if kept and len(kept) < len(graph.input):
        del graph.input[:]
        graph.input.extend(kept)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of inner graphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            for inner in attribute.graphs:
                yield from _tensors(inner)


def opset_version(model: onnx.ModelProto) -> int:
    """Version of the default operator set that the model was written for; 1 if it names none."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def constant_arrays(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Every constant tensor of the main graph by name: initializers and `Constant` nodes."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def image_input(model: onnx.ModelProto, *, where: str = "") -> ImageInput:
    """Finds the image input of a network.

    Args:
        model: The network.
        where: " of model.onnx" or the like, for messages.

    Raises:
        FileFormatError: If there is not exactly one input, or it is no batch of three-channel
            square images of a floating-point type.
    """
    onnx = import_onnx()
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    if len(inputs) != 1:
        raise FileFormatError(
            f"inputs{where}: expected one, an image, got {[entry.name for entry in inputs]}."
        )
    tensor = inputs[0].type.tensor_type
    shape = [entry.dim_value if entry.dim_value > 0 else None for entry in tensor.shape.dim]
    name = inputs[0].name
    channels = {shape[1], shape[3]} if len(shape) == 4 else set()
    if 3 not in channels and channels != {None}:
        raise FileFormatError(
            f"input {name!r}{where}: expected (N, 3, H, W) or (N, H, W, 3), got {shape}. "
            f"Only networks that take a colour image are embedders."
        )
    channels_last = shape[1] != 3 and shape[3] == 3
    height, width = (shape[1], shape[2]) if channels_last else (shape[2], shape[3])
    if height is not None and width is not None and height != width:
        raise FileFormatError(f"input {name!r}{where}: expected square images, got {shape}.")
    dtypes: Mapping[int, Any] = {
        onnx.TensorProto.FLOAT: np.float32,
        onnx.TensorProto.FLOAT16: np.float16,
        onnx.TensorProto.DOUBLE: np.float64,
    }
    if tensor.elem_type not in dtypes:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise FileFormatError(f"input {name!r}{where}: expected floating point, got {kind}.")
    return ImageInput(
        name=name,
        dtype=np.dtype(dtypes[tensor.elem_type]),
        channels_last=channels_last,
        size=height if height is not None else width,
        fixed_batch=shape[0],
    )


def copy_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A deep copy of a model."""
    copied: onnx.ModelProto = import_onnx().ModelProto()
    copied.CopyFrom(model)
    return copied


def free_batch_axis(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model whose first axis may have any length.

    Input and output shapes lose their batch size, stored shapes in between are dropped (they are
    hints that the runtime works out anew), and constant target shapes of `Reshape` that begin with
    the batch size are rewritten. Whether the result computes the same is for the caller to verify.

    Args:
        model: The network; not changed.
    """
    numpy_helper = import_onnx().numpy_helper
    facts = image_input(model)
    freed = copy_model(model)
    graph = freed.graph
    del graph.value_info[:]
    for entry in [*(item for item in graph.input if item.name == facts.name), *graph.output]:
        if entry.type.tensor_type.shape.dim:
            entry.type.tensor_type.shape.dim[0].dim_param = "N"
    if facts.fixed_batch is None:
        return freed
    constants = constant_arrays(freed)
    for position, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        target = numpy_helper.to_array(constants[node.input[1]]).copy()
        if target.ndim != 1 or len(target) < 2 or target[0] != facts.fixed_batch:
            continue
        # 0 takes the length of the incoming first axis; -1 works out what is left over.
        target[0] = 0 if -1 in target else -1
        name = f"probefusion.shape.{position}"
        graph.initializer.append(numpy_helper.from_array(target, name))
        node.input[1] = name
    return freed
