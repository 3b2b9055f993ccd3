"""Networks whose weights are stored in 8 bits run as if they were floats; those that compute in 8 bits as they are."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders import OnnxEmbedder
from probefusion.embedders.side_by_side import SideBySide

onnx = pytest.importorskip("onnx")

UNPACKS = "session.disable_quant_qdq"


def pack_weights(model):
    """The same network with every weight of a convolution in 8 bits, one scale for each of its outputs."""
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    unpacking = []
    for tensor in [t for t in packed.graph.initializer if len(t.dims) == 4]:
        weight = numpy_helper.to_array(tensor)
        scale = (np.abs(weight).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        levels = np.round(weight / scale[:, None, None, None]).astype(np.int8)
        name = tensor.name
        packed.graph.initializer.remove(tensor)
        for ending, values in (("levels", levels), ("scale", scale)):
            packed.graph.initializer.append(numpy_helper.from_array(values, f"{name}.{ending}"))
        inputs = [f"{name}.levels", f"{name}.scale"]
        unpacking.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
    nodes = [*unpacking, *packed.graph.node]
    del packed.graph.node[:]
    packed.graph.node.extend(nodes)
    onnx.checker.check_model(packed)
    return packed


def compute_in_8_bits(model):
    """The network with packed weights whose image is rounded to 8 bits too."""
    rounded = pack_weights(model)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    rounded.graph.initializer.append(numpy_helper.from_array(np.float32(0.02), "step"))
    rounded.graph.initializer.append(numpy_helper.from_array(np.int8(0), "zero"))
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "step", "zero"], ["image.levels"]),
        helper.make_node("DequantizeLinear", ["image.levels", "step", "zero"], ["image.rounded"]),
    ]
    for node in rounded.graph.node:
        node.input[:] = ["image.rounded" if name == "image" else name for name in node.input]
        nodes.append(node)
    del rounded.graph.node[:]
    rounded.graph.node.extend(nodes)
    onnx.checker.check_model(rounded)
    return rounded


def unpacks(session):
    try:
        return session.get_session_options().get_session_config_entry(UNPACKS) == "1"
    except RuntimeError:  # no such entry
        return False


def test_packed_weights_are_unpacked_in_both_sessions(network, rng):
    parallel = SideBySide(pack_weights(network()), num_threads=2)
    sessions = []
    parallel.map(lambda session, _: sessions.append(session), np.zeros((4, 1)), batch_size=1)
    assert sessions[0] is not parallel.session
    assert unpacks(parallel.session)
    assert all(map(unpacks, sessions))


def test_other_networks_are_started_as_they_are(network):
    rounded = compute_in_8_bits(network())
    for model in (network(), rounded, rounded.SerializeToString()):
        assert not unpacks(SideBySide(model, num_threads=1).session)


def test_packed_weights_give_what_the_same_floats_give(save_network, network, crops):
    packed = pack_weights(network())
    floats = onnx.ModelProto()
    floats.CopyFrom(packed)
    numpy_helper = onnx.numpy_helper
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in packed.graph.initializer}
    for node in [n for n in floats.graph.node if n.op_type == "DequantizeLinear"]:
        levels, scale = (stored[name] for name in node.input)
        weight = levels.astype(np.float32) * scale[:, None, None, None]
        floats.graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        floats.graph.node.remove(node)
    found = [
        OnnxEmbedder(*save_network(model), num_threads=1).embed(crops) for model in (packed, floats)
    ]
    for got, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_network_that_computes_in_8_bits_gives_what_its_file_says(save_network, network, crops):
    """As ONNX Runtime runs the bare file with its own settings."""
    import onnxruntime

    path, spec = save_network(compute_in_8_bits(network()), spec={"style_taps": ()})
    embedder = OnnxEmbedder(path, spec, num_threads=1)
    bare = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = (crops.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5
    (wanted,) = bare.run(None, {"image": image})
    found, _ = embedder.embed(crops)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
