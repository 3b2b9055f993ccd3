"""What MXNet 1.5 writes for ArcFace: refused by ONNX Runtime, repaired in memory to the same answer."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from probefusion.errors import FileFormatError
from probefusion.zoo import load_embedder

onnx = pytest.importorskip("onnx")
CHANNELS, DIM = 8, 32
SETTINGS = {"preprocessing": "arcface", "style_taps": ()}


def build(path, *, spatial: bool, slope, dense_slope: bool = False) -> None:
    """Conv, BatchNormalization, PRelu, Flatten, Gemm; the same weights every time."""
    rng = np.random.default_rng(0)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    arrays = {
        "w": rng.standard_normal((CHANNELS, 3, 3, 3)) * 0.2,
        "g": rng.uniform(0.5, 2, CHANNELS),
        "b": rng.standard_normal(CHANNELS),
        "m": rng.standard_normal(CHANNELS),
        "v": rng.uniform(0.5, 2, CHANNELS),
        "slope": np.linspace(-0.5, 0.9, CHANNELS).reshape(slope),
        "fcw": rng.standard_normal((DIM, CHANNELS * 14 * 14)) * 0.02,
        "fcb": np.zeros(DIM),
        "last": np.linspace(0.1, 0.9, DIM),
    }
    kind = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node(
            "Conv", ["data", "w"], ["c"], kernel_shape=[3, 3], strides=[8, 8], pads=[1, 1, 1, 1]
        ),
        helper.make_node(
            "BatchNormalization",
            ["c", "g", "b", "m", "v"],
            ["n"],
            epsilon=2e-5,
            **({} if spatial else {"spatial": 0}),
        ),
        helper.make_node("PRelu", ["n", "slope"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fcw", "fcb"], ["d" if dense_slope else "fc1"], transB=1),
    ]
    if dense_slope:
        nodes.append(helper.make_node("PRelu", ["d", "last"], ["fc1"]))
    inputs = [helper.make_tensor_value_info("data", kind, [1, 3, 112, 112])]
    inputs += [helper.make_tensor_value_info(k, kind, v.shape) for k, v in arrays.items()]
    graph = helper.make_graph(
        nodes,
        "mxnet_converted_model",
        inputs,
        [helper.make_tensor_value_info("fc1", kind, [1, DIM])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 7)])
    model.ir_version = 3
    onnx.save(model, str(path))


@pytest.fixture
def crops(rng):
    return rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("spatial", "slope"), [(False, (CHANNELS,)), (True, (CHANNELS,)), (False, (CHANNELS, 1, 1))]
)
def test_it_gives_what_a_right_export_gives(tmp_path, crops, caplog, spatial, slope) -> None:
    build(tmp_path / "right.onnx", spatial=True, slope=(CHANNELS, 1, 1))
    build(tmp_path / "mxnet.onnx", spatial=spatial, slope=slope)
    expected, _ = load_embedder(tmp_path / "right.onnx", settings=SETTINGS).embed(crops)
    assert not caplog.records
    with caplog.at_level(logging.INFO, "probefusion"):
        found, _ = load_embedder(tmp_path / "mxnet.onnx", settings=SETTINGS).embed(crops)
    assert "exported by MXNet" in caplog.text
    assert np.array_equal(found, expected)


def test_a_slope_of_plain_vectors_is_right_as_it_is(tmp_path, crops) -> None:
    build(tmp_path / "a.onnx", spatial=True, slope=(CHANNELS, 1, 1), dense_slope=True)
    build(tmp_path / "b.onnx", spatial=True, slope=(CHANNELS, 1, 1))
    found, _ = load_embedder(tmp_path / "a.onnx", settings=SETTINGS).embed(crops)
    plain, _ = load_embedder(tmp_path / "b.onnx", settings=SETTINGS).embed(crops)
    expected = np.where(plain < 0, plain * np.linspace(0.1, 0.9, DIM), plain)
    assert np.allclose(found, expected, atol=1e-5)


def test_what_onnx_runtime_refuses_is_told_in_one_plain_line(tmp_path, crops, capfd) -> None:
    build(tmp_path / "a.onnx", spatial=True, slope=(2, 4))  # no shape of a slope at all
    with pytest.raises(FileFormatError) as caught:
        load_embedder(tmp_path / "a.onnx", settings=SETTINGS)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
