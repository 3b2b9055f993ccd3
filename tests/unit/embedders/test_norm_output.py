"""The length that a network gives beside its unit embedding: found by proof, asked for otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders import OnnxEmbedder, inspect_embedder
from probefusion.errors import ConfigError

onnx = pytest.importorskip("onnx")


def with_outputs(network, *, length="norm", unit=True, shape=(1,), other=False, **settings):
    """The small network with AdaFace's ending: raw / |raw| and |raw|, or something in place of the length."""
    model = network(**settings)
    helper, graph = onnx.helper, model.graph
    batch = settings.get("batch", "N")
    kind = graph.output[0].type.tensor_type.elem_type
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "axes.one"))
    keep = int(len(shape) > 0)
    graph.node.append(helper.make_node("ReduceL2", ["raw"], ["wide"], axes=[1], keepdims=1))
    graph.node.append(helper.make_node("Div", ["raw", "wide"], ["embedding"]))
    graph.node.append(helper.make_node("ReduceL2", ["raw"], ["norm"], axes=[1], keepdims=keep))
    graph.node.append(helper.make_node("Exp", ["norm"], ["age"]))
    del graph.output[:]
    first = "embedding" if unit else "raw"
    graph.output.append(helper.make_tensor_value_info(first, kind, [batch, 10]))
    for name in [length] * (length is not None) + ["age"] * other:
        graph.output.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shape": ()},
        {"other": True},
        {"batch": 1},
        {"batch": 4},
        {"dtype": np.float16},
        {"channels_last": True},
    ],
    ids=str,
)
def test_the_length_is_found_and_gives_back_the_embedding(network, save_network, crops, settings):
    model = with_outputs(network, **settings)
    path, spec = save_network(model, spec={"norm_output": "norm"})
    facts = inspect_embedder(path)
    assert (facts.norm_output, facts.norm_candidates) == ("norm", ())
    plain = {key: value for key, value in settings.items() if key not in ("shape", "other")}
    expected = OnnxEmbedder(*save_network(**plain)).embed(crops)[0]
    embedder = OnnxEmbedder(path, spec)
    assert embedder.norms_known
    assert embedder.embed_set(crops).norms_known
    found = embedder.embed(crops)[0]
    tolerance = 1e-2 if settings.get("dtype") is np.float16 else 1e-5
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_an_embedding_normalised_by_one_node_is_proved_too(save_network):
    path, _ = save_network(normalised=True, extra_outputs=True)
    assert inspect_embedder(path).norm_output == "norm"


def test_a_number_that_is_no_length_is_only_asked_about(network, save_network):
    path, _ = save_network(with_outputs(network, length="age"))
    facts = inspect_embedder(path)
    assert (facts.norm_output, facts.norm_candidates) == (None, ("age",))


def test_where_the_embedding_keeps_its_length_nothing_is_looked_for(network, save_network):
    path, spec = save_network(with_outputs(network, unit=False), spec={"norm_output": "norm"})
    facts = inspect_embedder(path)
    assert (facts.norm_output, facts.norm_candidates) == (None, ())
    with pytest.raises(ConfigError, match=r"'norm' is to give back the length.*Leave it out"):
        OnnxEmbedder(path, spec)
    path, _ = save_network()
    assert inspect_embedder(path).norm_output is None


def test_an_output_that_holds_no_lengths_is_refused(save_network):
    path, spec = save_network(normalised=True, extra_outputs=True, spec={"norm_output": "unit"})
    with pytest.raises(ConfigError, match="output"):
        OnnxEmbedder(path, spec)
    with pytest.raises(ConfigError, match="norm_output of net: expected the name"):
        save_network(spec={"norm_output": ""})


def test_negative_lengths_are_refused(network, save_network):
    model = with_outputs(network)
    model.graph.node.append(onnx.helper.make_node("Neg", ["norm"], ["minus"]))
    model.graph.output[1].name = "minus"
    path, spec = save_network(model, spec={"norm_output": "minus"})
    assert inspect_embedder(path).norm_output is None
    with pytest.raises(ConfigError, match="one length per image"):
        OnnxEmbedder(path, spec)
