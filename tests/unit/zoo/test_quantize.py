"""The 8-bit form of the bundled embedder, on crops made here."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
onnx = pytest.importorskip("onnx")

from probefusion.embedders.quality import embedding_key  # noqa: E402
from probefusion.errors import (  # noqa: E402
    ConfigError,
    DtypeError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
    ShapeError,
)
from probefusion.types import EmbeddingSet  # noqa: E402
from probefusion.zoo import (  # noqa: E402
    load_embedder,
    load_fuser,
    quantize,
    quantize_embedder,
)
from probefusion.zoo.inspect import inspect_model, save_inspection  # noqa: E402


def make_crops(count: int) -> np.ndarray:
    """Random pictures, bright and dark, of many contrasts, with some noise: every map gets a range."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    smooth = [cv2.resize(crop, (112, 112), interpolation=cv2.INTER_CUBIC) for crop in coarse]
    contrast = rng.uniform(0.1, 1, (count, 1, 1, 1))
    level = rng.uniform(67, 187, (count, 1, 1, 1))
    noise = rng.normal(0, 5, (count, 112, 112, 3))
    return np.clip((np.stack(smooth) - 127.0) * contrast + level + noise, 0, 255).astype(np.uint8)


def make_network(path, *, opset=17, unit=False, batch="N", channels_last=False, half=False):
    """A small convolutional network with two maps of style, in one of the ways in which files come."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    kind = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    dtype = np.float16 if half else np.float32
    shapes = {"w1": (8, 3, 4, 4), "w2": (12, 8, 2, 2), "w3": (16, 12, 14, 14)}
    arrays = {
        name: rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(dtype)
        for name, shape in shapes.items()
    }
    source = "images"
    nodes = []
    if channels_last:
        nodes.append(helper.make_node("Transpose", ["images"], ["planes"], perm=[0, 3, 1, 2]))
        source = "planes"
    nodes += [
        helper.make_node("Conv", [source, "w1"], ["c1"], strides=[4, 4]),
        helper.make_node("Relu", ["c1"], ["fine"]),
        helper.make_node("Conv", ["fine", "w2"], ["c2"], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["middle"]),
        helper.make_node("Conv", ["middle", "w3"], ["c3"]),
        helper.make_node("Flatten", ["c3"], ["raw" if unit else "embedding"], axis=1),
    ]
    if unit:
        nodes += [
            helper.make_node("ReduceL2", ["raw"], ["length"], axes=[1], keepdims=1),
            helper.make_node("Reciprocal", ["length"], ["inverse"]),
            helper.make_node("Mul", ["raw", "inverse"], ["embedding"]),
        ]
    shape = [batch, 112, 112, 3] if channels_last else [batch, 3, 112, 112]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("embedding", kind, [batch, 16])],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


SETTINGS = {"preprocessing": "arcface", "style_taps": ("fine", "middle")}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The 8-bit file and what was found of it."""
    path = tmp_path_factory.mktemp("quantized") / "small.onnx"
    return path, quantize_embedder("compact_128d", path, make_crops(96), num_threads=1)


def test_the_small_form_is_small_and_gives_nearly_the_same(small) -> None:
    path, found = small
    assert found.num_bytes == path.stat().st_size < 0.75 * found.num_bytes_before
    assert (found.num_calibrated, found.num_compared) == (96, 96)
    assert 0 < found.length_spread < 0.05
    assert 0 < found.style_error < 0.35
    crops = make_crops(40)[32:]
    (one, one_style), (other, other_style) = (
        load_embedder(model, num_threads=1).embed(crops) for model in ("compact_128d", path)
    )
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert 0.98 < cosines.min() < 0.99999
    assert found.median_cosine > 0.98
    assert one_style.shape == other_style.shape
    assert np.abs(one_style - other_style).mean() < 0.1 * np.abs(one_style).mean()


def test_both_forms_mix_and_go_with_the_same_fuser(small) -> None:
    path, found = small
    crops = make_crops(8)
    original, eight_bits = load_embedder("compact_128d"), load_embedder(path)
    assert found.embedder == original.fingerprint == eight_bits.fingerprint
    halves = [original.embed_set(crops[:4]), eight_bits.embed_set(crops[4:])]
    fuser = load_fuser("exact", embedder=eight_bits.fingerprint)
    mixed = fuser.fuse(EmbeddingSet.concatenate(halves)).vector
    assert mixed @ fuser.fuse(original.embed_set(crops)).vector > 0.98


def test_what_is_kept_of_one_form_is_not_taken_for_the_other(small) -> None:
    keys = {embedding_key(load_embedder(model)) for model in ("compact_128d", small[0])}
    assert len(keys) == 2


def test_another_file_under_the_description_is_refused(small, tmp_path) -> None:
    path, _ = small
    target = tmp_path / "small.onnx"
    target.write_bytes(path.read_bytes() + b" ")
    target.with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes())
    with pytest.raises(IntegrityError, match="SHA-256"):
        load_embedder(target)


@pytest.mark.parametrize(
    "settings",
    [{"channel_order": "BGR"}, {"mean": [0.1] * 3}, {"style_taps": ()}, {"name": "other"}],
)
def test_it_stands_for_the_original_only_as_it_was_compared(small, settings) -> None:
    with pytest.raises(ConfigError, match=r"only as it was compared.* small\.json"):
        load_embedder(small[0], settings=settings)


@pytest.mark.parametrize(
    "change", [{"mean": [0.1] * 3}, {"own_fingerprint": None}, {"stands_for": "other@0123456789ab"}]
)
def test_a_description_that_was_changed_is_refused(small, tmp_path, change) -> None:
    path = tmp_path / "small.onnx"
    shutil.copy(small[0], path)
    card = json.loads(small[0].with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, **change}))
    with pytest.raises(ConfigError, match="only as it was compared"):
        load_embedder(path)


def test_a_file_without_its_description_says_what_it_is(small, tmp_path) -> None:
    alone = tmp_path / "moved.onnx"
    shutil.copy(small[0], alone)
    with pytest.raises(ConfigError, match=r"8-bit form of compact_128d@.*'moved\.json'"):
        load_embedder(alone)


def test_inspection_says_it_too_and_keeps_it_under_no_other_name(small) -> None:
    inspection = inspect_model(small[0])
    assert inspection.form_of == small[1].embedder
    with pytest.raises(ConfigError, match=r"8-bit form of compact_128d@.*by its path"):
        save_inspection(inspection, "mine", settings={"preprocessing": "arcface"})


def test_no_setting_makes_a_file_stand_for_another(tiny_embedder) -> None:
    with pytest.raises(ConfigError, match="'stands_for' is unknown"):
        load_embedder(tiny_embedder, settings={"stands_for": "compact_128d@ef16872e6acc"})


def test_a_store_of_one_form_is_not_gone_on_with_by_the_other(small, tmp_path) -> None:
    pytest.importorskip("torch")
    from probefusion.errors import MismatchError
    from probefusion.training.extraction import extract_variants

    crops = make_crops(2)
    given = {"ann": ["0"], "bob": ["1"]}, lambda name: crops[int(name)]
    forms = [load_embedder(model, num_threads=1) for model in ("compact_128d", small[0])]
    for place, (first, second) in enumerate((forms, forms[::-1])):
        folder = tmp_path / str(place)
        extract_variants(*given, first, lambda crop, _: crop[None], folder, recipe="as it is")
        with pytest.raises(MismatchError, match="embedder_form"):
            extract_variants(*given, second, lambda crop, _: crop[None], folder, recipe="as it is")


@pytest.mark.parametrize(
    ("model", "name", "crops", "error", "words"),
    [
        ("compact_128d", "a.onnx", make_crops(63), ConfigError, "at least 64 images .* got 63"),
        (
            "compact_128d",
            "a.onnx",
            np.repeat(make_crops(2), 40, axis=0),
            ConfigError,
            "got 2 different ones among 80",
        ),
        ("compact_128d", "a.bin", make_crops(64), ConfigError, r"ends in \.onnx"),
        ("compact_128d", "a.onnx", make_crops(64) / 255, DtypeError, "uint8"),
        ("compact_128d", "a.onnx", make_crops(64)[:, 8:-8], ShapeError, "112, 112"),
        (None, "a.onnx", make_crops(64), ConfigError, "stands for compact_128d@.* the original"),
    ],
)
def test_what_cannot_be_done_is_refused(small, tmp_path, model, name, crops, error, words) -> None:
    with pytest.raises(error, match=words):
        quantize_embedder(model or small[0], tmp_path / name, crops)
    assert not list(tmp_path.iterdir())


def test_the_original_is_never_replaced(tiny_embedder, tmp_path) -> None:
    path = tmp_path / "own.onnx"
    for suffix in (".onnx", ".json"):
        shutil.copy(tiny_embedder.with_suffix(suffix), path.with_suffix(suffix))
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    with pytest.raises(ConfigError, match="belongs to the original"):
        quantize_embedder(path, path, make_crops(64), force=True)
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before


def test_a_folder_in_the_way_of_the_description_is_seen_first(tmp_path) -> None:
    (tmp_path / "small.json").mkdir()
    with pytest.raises(OutputExistsError, match="is a folder"):
        quantize_embedder("compact_128d", tmp_path / "small.onnx", make_crops(64), force=True)
    assert not (tmp_path / "small.onnx").exists()


def test_files_that_exist_stay(tmp_path) -> None:
    for name in ("old.onnx", "old.json"):
        (tmp_path / name).write_text("precious")
        with pytest.raises(OutputExistsError, match=name):
            quantize_embedder("compact_128d", tmp_path / "old.onnx", make_crops(64))
        assert (tmp_path / name).read_text() == "precious"
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MIN_MEDIAN_COSINE", 0.99999, "median cosine"),
        ("MIN_LOW_COSINE", 0.99999, "first percentile"),
        ("MAX_LENGTH_SPREAD", 1e-6, "spread of lengths"),
        ("MAX_STYLE_ERROR", 1e-6, "error of style"),
    ],
)
def test_other_embeddings_are_refused(tmp_path, monkeypatch, limit, value, words) -> None:
    monkeypatch.setattr(quantize, limit, value)
    path = make_network(tmp_path / "net.onnx")
    with pytest.raises(IntegrityError, match=rf"{words} .* nothing was written.*weight-bits 8"):
        quantize_embedder(path, tmp_path / "small.onnx", make_crops(64), settings=SETTINGS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_of_the_quantiser_says_what_to_do(tmp_path, monkeypatch) -> None:
    import onnxruntime.quantization

    def fail(*args: object, **settings: object) -> None:
        raise AssertionError("no such operator")

    monkeypatch.setattr(onnxruntime.quantization, "quantize_static", fail)
    with pytest.raises(
        FileFormatError, match=r"cannot be quantised .*AssertionError: no such operator.* original"
    ):
        quantize_embedder("compact_128d", tmp_path / "small.onnx", make_crops(64))
    assert not list(tmp_path.iterdir())


def test_the_description_is_complete(small) -> None:
    card = json.loads(small[0].with_suffix(".json").read_text())
    assert card["name"] == "compact_128d-int8"
    assert card["style_taps"] == ["fine", "middle"]
    assert card["stands_for"] == small[1].embedder
    assert card["licence"].startswith("research use only")


@pytest.mark.parametrize(
    "kind", [{}, {"opset": 11}, {"batch": 1}, {"channels_last": True}, {"half": True}]
)
def test_networks_as_they_come(tmp_path, kind) -> None:
    path = make_network(tmp_path / "net.onnx", **kind)
    target = tmp_path / "small.onnx"
    found = quantize_embedder(path, target, make_crops(64), settings=SETTINGS)
    assert found.median_cosine > 0.98
    small = load_embedder(target)
    assert small.fingerprint == load_embedder(path, settings=SETTINGS).fingerprint
    assert small.embed(make_crops(3))[1].shape == (3, 20, 2)


def test_a_network_of_unit_embeddings_does_not_get_lengths(tmp_path) -> None:
    path = make_network(tmp_path / "net.onnx", unit=True)
    settings = {"preprocessing": "arcface", "style_taps": ()}
    with pytest.raises(IntegrityError, match="mere rounding"):
        quantize_embedder(path, tmp_path / "small.onnx", make_crops(64), settings=settings)
    assert not (tmp_path / "small.onnx").exists()


def test_logging_is_left_as_it_was(tmp_path, caplog) -> None:
    root = logging.getLogger()
    before = list(root.handlers), list(root.filters), root.manager.disable
    path = make_network(tmp_path / "net.onnx")
    quantize_embedder(path, tmp_path / "small.onnx", make_crops(64), settings=SETTINGS)
    assert (list(root.handlers), list(root.filters), root.manager.disable) == before
    assert not caplog.records


@pytest.mark.parametrize("stated", [None, ""])
def test_the_small_form_keeps_the_output_of_the_length(tmp_path, stated) -> None:
    """AdaFace's two outputs: both forms multiply the length in, or neither does."""
    model = onnx.load(str(make_network(tmp_path / "plain.onnx")))
    helper, graph = onnx.helper, model.graph
    graph.node.append(helper.make_node("ReduceL2", ["embedding"], ["norm"], axes=[1], keepdims=1))
    graph.node.append(helper.make_node("Div", ["embedding", "norm"], ["unit"]))
    del graph.output[:]
    for name, width in (("unit", 16), ("norm", 1)):
        kind = onnx.TensorProto.FLOAT
        graph.output.append(helper.make_tensor_value_info(name, kind, ["N", width]))
    onnx.save(model, str(tmp_path / "ada.onnx"))
    settings = {**SETTINGS, "style_taps": (), "norm_output": stated}
    original = load_embedder(tmp_path / "ada.onnx", settings=settings)
    assert original.spec.norm_output == ("norm" if stated is None else None)
    crops = make_crops(64)
    quantize_embedder(tmp_path / "ada.onnx", tmp_path / "small.onnx", crops, settings=settings)
    small = load_embedder(tmp_path / "small.onnx")
    assert small.spec.norm_output == original.spec.norm_output
    assert small.norms_known == original.norms_known == (stated is None)
    assert small.fingerprint == original.fingerprint
    one, other = small.embed(crops[:8])[0], original.embed(crops[:8])[0]
    ratios = np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert np.abs(ratios - 1).max() < 0.1
