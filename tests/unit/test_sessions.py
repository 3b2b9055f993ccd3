"""The one way to open ONNX Runtime: from files, bytes and models, on devices that are there."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders import CropQuality
from probefusion.errors import ConfigError, FileFormatError
from probefusion.sessions import run_outputs, start_session
from probefusion.zoo import load_embedder, load_fuser

onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402


@pytest.fixture
def model():
    """Doubles (N, 2) float32."""
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [onnx.helper.make_tensor_value_info("x", kind, ["N", 2])],
        [onnx.helper.make_tensor_value_info("y", kind, ["N", 2])],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_models_bytes_and_files_are_opened(model, tmp_path):
    path = tmp_path / "double.onnx"
    onnx.save(model, path)
    for given in (model, model.SerializeToString(), path):
        session = start_session(given, num_threads=1)
        (found,) = run_outputs(session, ["y"], {"x": np.ones((3, 2), np.float32)})
        assert np.array_equal(found, np.full((3, 2), 2, np.float32))


def test_refused_models_and_inputs_are_named(model, tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(FileFormatError, match=r"text\.onnx'?: ONNX Runtime .* refuses it"):
        start_session(path, num_threads=None)
    with pytest.raises(FileFormatError, match="model of mine: ONNX Runtime"):
        start_session(b"no model", num_threads=None, where=" of mine")
    session = start_session(model, num_threads=1)
    with pytest.raises(
        FileFormatError, match=r"mine: cannot be run on an input of shape \[\(3, 5\)"
    ):
        run_outputs(session, ["y"], {"x": np.ones((3, 5), np.float32)}, where=" mine")


def test_unknown_devices_are_refused(model):
    with pytest.raises(ConfigError, match="device: expected 'cpu' or 'cuda', got 'gpu'"):
        start_session(model, num_threads=1, device="gpu")


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA"
)
def test_cuda_needs_another_build_for_embedders_quality_and_fusers_alike(model):
    words = "pip install onnxruntime-gpu"
    for open_it in (
        lambda: start_session(model, num_threads=1, device="cuda"),
        lambda: load_embedder(device="cuda"),
        lambda: CropQuality(device="cuda"),
        lambda: load_fuser("exact", device="cuda"),
        lambda: load_fuser("official", device="cuda"),
    ):
        with pytest.raises(ConfigError, match=words):
            open_it()
    assert load_fuser("mean", device="cuda").name == "mean"


def test_only_one_place_opens_onnx_runtime(repository):
    """The quantiser aside, which asks ONNX Runtime to write the network it simplified."""
    root = repository / "src" / "probefusion"
    openers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "InferenceSession(" in path.read_text(encoding="utf-8")
    }
    assert openers == {"sessions.py", "zoo/quantize.py"}
