"""Small networks written with onnx.helper, in the shape of real embedders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

CHANNELS = (4, 6, 8)
DIM = 10


def build_network(
    *,
    opset: int = 17,
    batch: int | str = "N",
    head: str = "flatten",
    residual: bool = True,
    channels_last: bool = False,
    dtype: type = np.float32,
    normalised: bool = False,
    extra_outputs: bool = False,
    offset: float = 0.0,
    size: int | str = 112,
    seed: int = 0,
):
    """A network with maps of 28, 14 and 7 pixels; residual ones are `stage2` and `stage3`."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rng = np.random.default_rng(seed)
    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def convolve(source, name, num_in, num_out, kernel, stride):
        scale = 1 / np.sqrt(num_in * kernel**2)
        weight = (rng.standard_normal((num_out, num_in, kernel, kernel)) * scale).astype(dtype)
        bias = np.full(num_out, offset, dtype)
        inputs = [source, constant(f"{name}.w", weight), constant(f"{name}.b", bias)]
        pads = [kernel // 2] * 4 if kernel % 2 else [0] * 4
        nodes.append(
            helper.make_node(
                "Conv", inputs, [name], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads
            )
        )
        return name

    source = "image"
    if channels_last:
        nodes.append(helper.make_node("Transpose", [source], ["nchw"], perm=[0, 3, 1, 2]))
        source = "nchw"
    num_in = 3
    for stage, (num_out, stride) in enumerate(zip(CHANNELS, (4, 2, 2), strict=True), start=2):
        source = convolve(source, f"down{stage}", num_in, num_out, stride, stride)
        nodes.append(helper.make_node("Relu", [source], [f"relu{stage}"]))
        inner = convolve(f"relu{stage}", f"inner{stage}", num_out, num_out, 3, 1)
        kind = ("Add", [f"relu{stage}", inner]) if residual else ("Relu", [inner])
        nodes.append(helper.make_node(kind[0], kind[1], [f"stage{stage}"]))
        source, num_in = f"stage{stage}", num_out
    nodes.append(helper.make_node("GlobalAveragePool", [source], ["pooled"]))
    if head == "flatten":
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], axis=1))
    else:
        # "rest" and "width": the usual constants; "computed": a constant that cannot be rewritten
        first = batch if isinstance(batch, int) else 1
        target = [first, CHANNELS[-1]] if head == "width" else [first, -1]
        shape = constant("shape", np.array(target, np.int64))
        if head == "computed":
            nodes.append(helper.make_node("Identity", [shape], ["shape.copy"]))
            shape = "shape.copy"
        nodes.append(helper.make_node("Reshape", ["pooled", shape], ["flat"]))
    matrix = rng.standard_normal((CHANNELS[-1], DIM)).astype(dtype)
    nodes.append(helper.make_node("MatMul", ["flat", constant("head.w", matrix)], ["raw"]))
    embedding = "raw"
    if normalised:
        nodes.append(helper.make_node("LpNormalization", ["raw"], ["unit"], axis=1, p=2))
        nodes.append(helper.make_node("ReduceL2", ["raw"], ["norm"], axes=[1], keepdims=1))
        embedding = "unit"
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    image = [batch, size, size, 3] if channels_last else [batch, 3, size, size]
    outputs = [helper.make_tensor_value_info(embedding, kind, [batch, DIM])]
    if extra_outputs:
        outputs.insert(0, helper.make_tensor_value_info("norm", kind, [batch, 1]))
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("image", kind, image)], outputs, weights
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model


@pytest.fixture(scope="session")
def network():
    """The function that builds a small network."""
    return build_network


@pytest.fixture
def save_network(tmp_path: Path):
    """Builds and saves a network; gives its path and the spec that fits."""
    from probefusion.embedders import EmbedderSpec

    def save(model=None, *, spec=None, **settings):
        model = build_network(**settings) if model is None else model
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.onnx"
        path.write_bytes(model.SerializeToString())
        facts = {"name": "net", "dim": DIM, "style_taps": ("stage2", "stage3"), **(spec or {})}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return path, EmbedderSpec(sha256=sha256, **facts)

    return save


@pytest.fixture
def crops(rng: np.random.Generator) -> np.ndarray:
    """Five different images, (5, 112, 112, 3) uint8."""
    return rng.integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
