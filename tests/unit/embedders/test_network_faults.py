"""Faults planted into a small network are found, and none in the network as it is."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from research.setup_faults.planted_networks import NETWORK_FAULTS

from probefusion.embedders import inspect_embedder
from probefusion.embedders.network_faults import (
    check_network,
    normalises_itself,
    training_nodes,
)


@pytest.fixture
def check(tiny_embedder, tmp_path, rng):
    """Checks the small network after something was done to it."""

    def run(change=None, norm_output=None):
        model = onnx.load(str(tiny_embedder))
        if change is not None:
            change(model)
        path = tmp_path / "changed.onnx"
        onnx.save(model, str(path))
        fed = rng.uniform(-1, 1, (4, 3, 112, 112)).astype(np.float32)
        return check_network(path, inspect_embedder(path), fed, norm_output=norm_output)

    return run


def test_no_fault(check) -> None:
    found = check()
    assert found.doubts == ()
    assert found.repeats_differ == 0
    assert found.neighbours_differ == pytest.approx(0, abs=1e-5)
    assert (found.training_nodes, found.unused_norm, found.norm_candidates) == ((), None, ())


def test_dropout(check) -> None:
    found = check(NETWORK_FAULTS["dropout is on"][1])
    assert found.is_random
    assert found.neighbours_differ is None
    assert found.training_nodes == ("Dropout 'dropout'",)
    assert "training mode" in found.doubts[0]


@pytest.mark.parametrize("fault", ["BatchNorm uses the batch", "images mix in a batch"])
def test_the_batch(check, fault) -> None:
    found = check(NETWORK_FAULTS[fault][1])
    assert not found.is_random
    assert found.depends_on_batch


def test_a_fixed_batch_of_one_has_no_neighbours(check) -> None:
    def fix(model):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    assert check(fix).neighbours_differ is None


def test_a_fixed_batch_of_four_that_mixes(check) -> None:
    def fix(model):
        NETWORK_FAULTS["images mix in a batch"][1](model)
        for entry in (model.graph.input[0], model.graph.output[0]):
            entry.type.tensor_type.shape.dim[0].dim_value = 4

    assert check(fix).depends_on_batch


def test_batch_norm_in_training_mode_is_read_from_the_graph(tiny_embedder) -> None:
    model = onnx.load(str(tiny_embedder))
    node = onnx.helper.make_node(
        "BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], name="bn", training_mode=1
    )
    model.graph.node.append(node)
    assert training_nodes(model) == ("BatchNormalization 'bn'",)
    node.attribute[0].i = 0
    del model.graph.node[-1]
    model.graph.node.append(node)
    assert training_nodes(model) == ()


def test_the_length_beside(check) -> None:
    plant = NETWORK_FAULTS["length thrown away"][1]
    assert check(plant).unused_norm == "norm"
    assert check(plant, norm_output="norm").unused_norm is None


def test_a_network_that_scales_pixels_itself(tiny_embedder) -> None:
    model = onnx.load(str(tiny_embedder))
    assert not normalises_itself(model)
    name = model.graph.input[0].name
    for node in model.graph.node:
        for place, source in enumerate(node.input):
            if source == name:
                node.input[place] = "scaled"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(127.5), "middle"))
    model.graph.node.insert(0, onnx.helper.make_node("Sub", [name, "middle"], ["scaled"]))
    assert normalises_itself(model)


def test_inspect_tells_of_training_mode(tiny_embedder, tmp_path, capsys) -> None:
    from probefusion.cli.main import main

    model = onnx.load(str(tiny_embedder))
    NETWORK_FAULTS["dropout is on"][1](model)
    onnx.save(model, str(tmp_path / "changed.onnx"))
    assert main(["models", "inspect", str(tmp_path / "changed.onnx")]) == 0
    assert "fault: the same image gives other embeddings each time" in capsys.readouterr().out
    assert main(["models", "inspect", "--json", str(tmp_path / "changed.onnx")]) == 0
    assert json.loads(capsys.readouterr().out)["network"]["training_nodes"] == ["Dropout 'dropout'"]
