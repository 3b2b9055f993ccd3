"""A second output with the length of the embedding, from the file to the fuser."""

from __future__ import annotations

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from probefusion import Pipeline, load_fuser  # noqa: E402
from probefusion.errors import ConfigError, MissingNormsError  # noqa: E402
from probefusion.pipeline.chosen_embedder import stated_fingerprint  # noqa: E402
from probefusion.zoo import known_models, load_embedder, resolve_embedder  # noqa: E402
from probefusion.zoo.inspect import inspect_model, save_inspection  # noqa: E402
from probefusion.zoo.manifest import forget_model  # noqa: E402

ARCFACE = {"preprocessing": "arcface"}


@pytest.fixture
def adaface_like(network_file):
    """`my net.onnx` with AdaFace's two outputs: the unit embedding and its length."""
    model = onnx.load(network_file)
    helper, graph = onnx.helper, model.graph
    graph.node.append(helper.make_node("ReduceL2", ["out"], ["norm"], axes=[1], keepdims=1))
    graph.node.append(helper.make_node("Div", ["out", "norm"], ["embedding"]))
    del graph.output[:]
    for name, width in (("embedding", 7), ("norm", 1)):
        kind = onnx.TensorProto.FLOAT
        graph.output.append(helper.make_tensor_value_info(name, kind, ["N", width]))
    path = network_file.with_name("ada.onnx")
    onnx.save(model, path)
    return path


@pytest.fixture
def crops(rng):
    return rng.integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)


def test_an_unknown_file_keeps_its_lengths(adaface_like, network_file, crops):
    raw = load_embedder(network_file, settings={**ARCFACE, "style_taps": ()}).embed(crops)[0]
    for settings in (ARCFACE, {**ARCFACE, "dim": 7, "input_size": 112, "style_taps": ()}):
        embedder = load_embedder(adaface_like, settings=settings)
        assert embedder.spec.norm_output == "norm"
        assert embedder.norms_known
        assert np.allclose(embedder.embed(crops)[0], raw, rtol=1e-4, atol=1e-5)
    images = embedder.embed_set(crops)
    weights = load_fuser("norm-weighted").fuse(images).weights
    lengths = np.linalg.norm(raw, axis=1)
    assert np.allclose(weights, lengths / lengths.sum(), atol=1e-6)


def test_it_can_be_left_out_in_words_and_in_the_description(adaface_like, crops):
    embedder = load_embedder(adaface_like, settings={**ARCFACE, "norm_output": ""})
    assert embedder.spec.norm_output is None
    assert embedder.norms_known is False
    with pytest.raises(MissingNormsError, match=r"--norm-output"):
        load_fuser("norm-weighted").fuse(embedder.embed_set(crops))
    adaface_like.with_suffix(".json").write_text(json.dumps({**ARCFACE, "norm_output": ""}))
    assert resolve_embedder(adaface_like)[1].norm_output is None
    adaface_like.with_suffix(".json").write_text(json.dumps({**ARCFACE, "norm_output": "norm"}))
    assert resolve_embedder(adaface_like)[1].norm_output == "norm"
    adaface_like.with_suffix(".json").write_text(json.dumps({**ARCFACE, "norm_output": None}))
    assert resolve_embedder(adaface_like)[1].norm_output == "norm"


def test_save_writes_it(adaface_like, home, crops):
    inspection = inspect_model(adaface_like)
    assert inspection.facts.norm_output == "norm"
    entry = save_inspection(inspection, "ada", settings=ARCFACE)
    assert entry.settings["norm_output"] == "norm"
    assert load_embedder("ada").norms_known
    assert load_embedder(adaface_like).fingerprint == load_embedder("ada").fingerprint
    without = inspect_model(adaface_like, norm_output="")
    assert without.facts.norm_output is None
    entry = save_inspection(without, "ada", settings=ARCFACE, force=True)
    assert "norm_output" not in entry.settings
    assert load_embedder("ada").norms_known is False
    with pytest.raises(
        ConfigError, match=r"norm_output: expected one of the outputs embedding, norm"
    ):
        inspect_model(adaface_like, norm_output="length")


def test_the_pipeline_and_the_statement_take_it(adaface_like, crops):
    usual = Pipeline(adaface_like, preprocessing="arcface", aligned=True)
    unit = Pipeline(adaface_like, preprocessing="arcface", norm_output="", aligned=True)
    assert usual.embedder.norms_known
    assert not unit.embedder.norms_known
    for pipeline, name in ((usual, None), (unit, "")):
        stated = stated_fingerprint(adaface_like, preprocessing="arcface", norm_output=name)
        assert stated == pipeline.embedder.fingerprint
    assert usual.embedder.fingerprint != unit.embedder.fingerprint
    with pytest.raises(ConfigError, match="norm_output: expected None beside a ready embedder"):
        Pipeline(usual.embedder, norm_output="norm")
    with pytest.raises(ConfigError, match="norm_output of ada"):
        _ = Pipeline(adaface_like, preprocessing="arcface", norm_output="nothing").embedder


def test_a_second_model_is_kept_beside_the_first(adaface_like, home):
    """What the manifest of the user holds already was read from a file without all its keys."""
    inspection = inspect_model(adaface_like)
    first = save_inspection(inspection, "one", settings=ARCFACE)
    save_inspection(inspection, "two", settings={**ARCFACE, "norm_output": ""})
    assert known_models()["one"].settings == first.settings
    assert "norm_output" not in known_models()["two"].settings
    assert load_embedder("one").spec.norm_output == "norm"
    assert load_embedder("two").spec.norm_output is None
    assert [load_embedder(name).spec.name for name in ("one", "two")] == ["one", "two"]
    forget_model("two")
    assert "one" in known_models()
    assert "two" not in known_models()
