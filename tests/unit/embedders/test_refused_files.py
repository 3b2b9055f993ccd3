"""Files that are no network of ours, or none that can be run, are refused in one line."""

from __future__ import annotations

import pytest

from probefusion.embedders import OnnxEmbedder, inspect_embedder
from probefusion.embedders.onnx_graph import read_model
from probefusion.errors import FileFormatError

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100, b"<html></html>"])
def test_files_that_are_no_model(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"bad\.onnx.*expected an ONNX model"):
        read_model(path)


def test_a_cut_file_is_refused(save_network, tmp_path):
    path, _ = save_network()
    data = path.read_bytes()
    cut = tmp_path / "cut.onnx"
    for share in (0.3, 0.9, 0.999):
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileFormatError, match=r"cut\.onnx"):
            inspect_embedder(cut)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="folder"):
        read_model(tmp_path)


def test_weights_in_a_second_file_are_refused(network, tmp_path):
    path = tmp_path / "split.onnx"
    onnx.save_model(
        network(), path, save_as_external_data=True, location="split.data", size_threshold=0
    )
    with pytest.raises(FileFormatError, match="second file"):
        read_model(path)


def test_a_model_with_an_unknown_operation_is_refused(network, save_network):
    model = network()
    model.graph.node[0].op_type = "NoSuchOperation"
    path, spec = save_network(model, spec={"style_taps": ()})
    with pytest.raises(FileFormatError, match="ONNX Runtime"):
        OnnxEmbedder(path, spec)


def test_an_old_opset_is_refused(network, save_network):
    model = network()
    model.opset_import[0].version = 5
    path, _ = save_network(model)
    with pytest.raises(FileFormatError, match="opset"):
        read_model(path)


@pytest.mark.parametrize("shape", [["N", 1, 112, 112], ["N", 3, 112], ["N", 3, 112, 96]])
def test_networks_that_take_no_colour_image_are_refused(tmp_path, shape):
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, ir_version=8), path)
    with pytest.raises(FileFormatError, match=r"input 'x' of 'odd\.onnx'"):
        inspect_embedder(path)
