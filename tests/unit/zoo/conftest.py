"""A small network, saved as a file that no manifest knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty models folder, and no caches of others."""
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    for name in ("INSIGHTFACE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("HF_HUB_CACHE", "PROBEFUSION_OFFLINE", "PROBEFUSION_MIRROR", "PROBEFUSION_FUSERS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    """`my net.onnx`: (N, 3, 112, 112) to (N, 7), with maps at 28 and 14 pixels."""
    onnx = pytest.importorskip("onnx")
    helper, from_array = onnx.helper, onnx.numpy_helper.from_array
    rng = np.random.default_rng(3)
    weights = [
        from_array(rng.standard_normal((5, 3, 4, 4)).astype(np.float32), "w1"),
        from_array(rng.standard_normal((6, 5, 2, 2)).astype(np.float32), "w2"),
        from_array(rng.standard_normal((6, 7)).astype(np.float32), "w3"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Relu", ["a"], ["quarter"]),
        helper.make_node("Conv", ["quarter", "w2"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["b"], ["eighth"]),
        helper.make_node("GlobalAveragePool", ["eighth"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["out"]),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", kind, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("out", kind, ["N", 7])],
        weights,
    )
    path = tmp_path / "my net.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path
