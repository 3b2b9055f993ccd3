from __future__ import annotations

import zipfile

import numpy as np
import pytest

from probefusion.embedders import EmbedderSpec, OnnxEmbedder, inspect_embedder
from probefusion.embedders.onnx_graph import free_batch_axis, read_model
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    IntegrityError,
    MissingFileError,
    ShapeError,
    UnknownNameError,
)
from probefusion.sessions import start_session

onnx = pytest.importorskip("onnx")


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def plain_run(model, crops, *, mean=(0.5,) * 3, std=(0.5,) * 3, order="RGB", channels_last=False):
    """The network run by hand, one image at a time, with preprocessing in float64."""
    session = start_session(model, num_threads=1)
    pixels = crops if order == "RGB" else crops[..., ::-1]
    values = ((pixels / 255.0 - np.array(mean)) / np.array(std)).astype(np.float32)
    if not channels_last:
        values = values.transpose(0, 3, 1, 2)
    rows = [session.run(["raw"], {"image": np.ascontiguousarray(v[None])})[0] for v in values]
    return np.concatenate(rows)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_preprocessing_is_the_stated_one(network, save_network, crops, order, channels_last):
    model = network(channels_last=channels_last)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    path, spec = save_network(model, spec={"mean": mean, "std": std, "channel_order": order})
    embeddings, _ = OnnxEmbedder(path, spec).embed(crops)
    expected = plain_run(model, crops, mean=mean, std=std, order=order, channels_last=channels_last)
    assert embeddings.dtype == np.float32
    assert relative_error(embeddings, expected) < 1e-5


def test_inputs_that_need_no_feeding_are_left_out(network, save_network, crops):
    """As quantising tools leave them: an old weight that nobody reads, and one that a node makes anew."""
    whole = network()
    expected, _ = OnnxEmbedder(*save_network(whole)).embed(crops)
    model = network()
    graph, helper = model.graph, onnx.helper
    weight = next(entry for entry in graph.initializer if entry.name == "head.w")
    stored = onnx.TensorProto()
    stored.CopyFrom(weight)
    stored.name = "head.w.stored"
    graph.initializer.remove(weight)
    graph.initializer.append(stored)
    graph.node.insert(0, helper.make_node("Identity", ["head.w.stored"], ["head.w"]))
    for name, shape in (("head.w", list(stored.dims)), ("head.w.before", [3, 4])):
        graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    embeddings, _ = OnnxEmbedder(*save_network(model)).embed(crops)
    assert relative_error(embeddings, expected) < 1e-6


@pytest.mark.parametrize("head", ["flatten", "rest", "width"])
@pytest.mark.parametrize("opset", [11, 17, 18])
def test_a_fixed_batch_is_freed(network, save_network, crops, head, opset):
    model = network(batch=1, head=head, opset=opset)
    path, spec = save_network(model)
    embedder = OnnxEmbedder(path, spec, batch_size=3)
    assert embedder.is_batched
    embeddings, style = embedder.embed(crops)
    assert relative_error(embeddings, plain_run(model, crops)) < 1e-5
    assert style.shape == (5, 10, 2)
    singles = [embedder.embed(crop[None]) for crop in crops]
    assert relative_error(embeddings, np.concatenate([one for one, _ in singles])) < 1e-5
    assert relative_error(style, np.concatenate([one for _, one in singles])) < 1e-5


def test_a_shape_shared_by_several_nodes_is_rewritten_for_each(network, save_network, crops):
    model = network(batch=1, head="rest")
    helper = onnx.helper
    place = next(i for i, node in enumerate(model.graph.node) if node.op_type == "MatMul")
    model.graph.node.insert(place + 1, helper.make_node("Reshape", ["raw", "shape"], ["again"]))
    model.graph.output[0].name = "again"
    path, spec = save_network(model)
    embedder = OnnxEmbedder(path, spec)
    assert embedder.is_batched
    assert relative_error(embedder.embed(crops)[0], plain_run(network(), crops)) < 1e-5


def test_a_batch_that_cannot_be_freed_is_run_one_at_a_time(network, save_network, crops):
    model = network(batch=1, head="computed")
    path, spec = save_network(model)
    embedder = OnnxEmbedder(path, spec)
    assert not embedder.is_batched
    embeddings, style = embedder.embed(crops)
    assert relative_error(embeddings, plain_run(model, crops)) < 1e-5
    assert style.shape == (5, 10, 2)


def test_a_fixed_batch_of_four_that_cannot_be_freed_is_filled_up(network, save_network, crops):
    path, spec = save_network(network(batch=4, head="computed"))
    reference = OnnxEmbedder(*save_network(network()))
    embedder = OnnxEmbedder(path, spec)
    assert not embedder.is_batched
    for count in (1, 4, 5):
        embeddings, style = embedder.embed(crops[:count])
        assert embeddings.shape == (count, 10)
        assert relative_error(embeddings, reference.embed(crops[:count])[0]) < 1e-5
        assert relative_error(style, reference.embed(crops[:count])[1]) < 1e-5


def test_a_network_whose_images_influence_each_other_is_run_one_at_a_time(
    network, save_network, crops
):
    model = network()
    helper = onnx.helper
    model.graph.node.append(helper.make_node("ReduceMean", ["raw"], ["mean"], axes=[0], keepdims=1))
    model.graph.node.append(helper.make_node("Add", ["raw", "mean"], ["mixed"]))
    model.graph.output[0].name = "mixed"
    path, spec = save_network(model)
    embedder = OnnxEmbedder(path, spec)
    assert not embedder.is_batched
    together, _ = embedder.embed(crops)
    np.testing.assert_array_equal(together[2:3], embedder.embed(crops[2:3])[0])


def test_batch_size_changes_nothing_visible(save_network, crops):
    path, spec = save_network()
    results = [OnnxEmbedder(path, spec, batch_size=size).embed(crops) for size in (1, 2, 5, 64)]
    for embeddings, style in results[1:]:
        assert relative_error(embeddings, results[0][0]) < 1e-5
        assert relative_error(style, results[0][1]) < 1e-5


def test_style_is_none_without_taps(save_network, crops):
    path, spec = save_network(spec={"style_taps": ()})
    embeddings, style = OnnxEmbedder(path, spec).embed(crops)
    assert style is None
    assert embeddings.shape == (5, 10)


def test_zero_crops_give_empty_arrays(save_network):
    path, spec = save_network()
    embeddings, style = OnnxEmbedder(path, spec).embed(np.zeros((0, 112, 112, 3), np.uint8))
    assert embeddings.shape == (0, 10)
    assert style.shape == (0, 10, 2)


def test_crops_are_not_changed(save_network, crops):
    before = crops.copy()
    OnnxEmbedder(*save_network()).embed(crops)
    np.testing.assert_array_equal(crops, before)


def test_half_precision_networks_give_float32(save_network, crops):
    embeddings, style = OnnxEmbedder(*save_network(dtype=np.float16)).embed(crops)
    reference = OnnxEmbedder(*save_network()).embed(crops)
    assert embeddings.dtype == style.dtype == np.float32
    assert relative_error(embeddings, reference[0]) < 2e-2
    assert relative_error(style, reference[1]) < 2e-2


def test_a_free_image_size_is_taken_from_the_spec(save_network, rng):
    path, spec = save_network(size="S", spec={"input_size": 64})
    crops = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    assert OnnxEmbedder(path, spec).embed(crops)[0].shape == (2, 10)


def test_the_right_one_of_several_outputs_is_taken(save_network, crops):
    path, spec = save_network(normalised=True, extra_outputs=True)
    embedder = OnnxEmbedder(path, spec)
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(crops)[0], axis=1), 1, rtol=1e-5)


def test_embeddings_of_shape_n_d_1_1_are_taken(network, save_network, crops):
    model = network()
    shape = onnx.numpy_helper.from_array(np.array([0, 10, 1, 1], np.int64), "four")
    model.graph.initializer.append(shape)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["raw", "four"], ["wide"]))
    del model.graph.output[:]
    kind = onnx.TensorProto.FLOAT
    model.graph.output.append(onnx.helper.make_tensor_value_info("wide", kind, ["N", 10, 1, 1]))
    path, spec = save_network(model)
    embeddings, _ = OnnxEmbedder(path, spec).embed(crops)
    assert relative_error(embeddings, plain_run(network(), crops)) < 1e-5


def test_a_norm_output_restores_the_length(save_network, crops):
    raw = OnnxEmbedder(*save_network()).embed(crops)[0]
    path, spec = save_network(normalised=True, extra_outputs=True, spec={"norm_output": "norm"})
    embedder = OnnxEmbedder(path, spec)
    assert embedder.norms_known
    assert relative_error(embedder.embed(crops)[0], raw) < 1e-5


def test_sets_carry_fingerprint_style_and_labels(save_network, crops):
    path, spec = save_network()
    images = OnnxEmbedder(path, spec).embed_set(
        crops, sources=list("abcde"), media_ids=[1, 1, 2, 2, 3]
    )
    assert images.embedder == spec.fingerprint
    assert images.sources.tolist() == list("abcde")
    assert images.media_ids.tolist() == [1, 1, 2, 2, 3]
    assert images.style.shape == (5, 10, 2)
    assert images.norms_known is True


def test_norms_are_unknown_where_the_network_normalises(save_network, crops):
    embedder = OnnxEmbedder(*save_network(normalised=True))
    assert embedder.norms_known is False
    assert embedder.embed_set(crops[:1]).norms_known is False


def test_an_empty_set_is_refused(save_network):
    embedder = OnnxEmbedder(*save_network())
    with pytest.raises(EmptySetError, match="crops"):
        embedder.embed_set(np.zeros((0, 112, 112, 3), np.uint8))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda c: c.astype(np.float32) / 255, DtypeError, "uint8"),
        (lambda c: c[0], ShapeError, r"crop\[None\]"),
        (lambda c: c[:, :100], ShapeError, r"\(5, 100, 112, 3\)"),
        (lambda c: c.transpose(0, 3, 1, 2), ShapeError, "expected"),
        (lambda c: c[..., :1], ShapeError, "expected"),
    ],
)
def test_wrong_crops_are_refused(save_network, crops, change, error, words):
    with pytest.raises(error, match=words):
        OnnxEmbedder(*save_network()).embed(change(crops))


@pytest.mark.parametrize(
    ("settings", "words"), [({"batch_size": 0}, "batch_size"), ({"num_threads": 0}, "num_threads")]
)
def test_wrong_settings_are_refused(save_network, settings, words):
    with pytest.raises(ConfigError, match=words):
        OnnxEmbedder(*save_network(), **settings)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"dim": 12}, ConfigError, "dim of net"),
        ({"input_size": 160}, ConfigError, "the network takes 112"),
        ({"norm_output": "nothing"}, ConfigError, "norm_output"),
        ({"style_taps": ("stage2", "stage9")}, UnknownNameError, "stage9"),
    ],
)
def test_specs_that_do_not_fit_are_refused(save_network, spec, error, words):
    with pytest.raises(error, match=words):
        OnnxEmbedder(*save_network(spec=spec))


def test_another_file_than_the_spec_means_is_refused(save_network):
    _, spec = save_network(seed=0)
    other, _ = save_network(seed=1)
    with pytest.raises(IntegrityError, match=spec.sha256):
        OnnxEmbedder(other, spec)


def test_missing_file(tmp_path):
    spec = EmbedderSpec(name="net", sha256="0" * 64, dim=4)
    with pytest.raises(MissingFileError, match=r"none\.onnx"):
        OnnxEmbedder(tmp_path / "none.onnx", spec)


def test_weights_listed_among_the_inputs_are_no_inputs(network, save_network, crops):
    # files written for IR version 3 list every weight as an input, too
    model = network()
    for weight in model.graph.initializer:
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        )
    model.ir_version = 3
    path, spec = save_network(model)
    expected = plain_run(network(), crops)
    assert relative_error(OnnxEmbedder(path, spec).embed(crops)[0], expected) < 1e-5


def test_freeing_the_batch_leaves_the_given_model_alone(network):
    model = network(batch=1, head="rest")
    before = model.SerializeToString()
    freed = free_batch_axis(model)
    assert model.SerializeToString() == before
    assert freed.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_inspection_tells_what_the_file_tells(save_network, batch):
    path, spec = save_network(batch=batch, head="width", normalised=True, extra_outputs=True)
    if batch == "N":  # a reshape to one row contradicts a free batch
        path, spec = save_network(batch=batch, normalised=True, extra_outputs=True)
    facts = inspect_embedder(path)
    rows = 1 if batch == "N" else batch
    assert facts.sha256 == spec.sha256
    assert facts.fixed_batch == (None if batch == "N" else batch)
    assert facts.outputs == {"norm": (rows, 1), "unit": (rows, 10)}
    assert facts.dims == (10,)
    assert facts.style_taps == ("stage2", "stage3")
    assert (facts.input_name, facts.input_size, facts.opset) == ("image", 112, 17)


@pytest.mark.assets
def test_real_networks_agree_with_their_own_single_runs(assets):
    from probefusion.faces import read_crop
    from probefusion.zoo import load_embedder

    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:6]
        crops = np.stack([read_crop(archive.read(name), source=name) for name in names])
    for name, dim, channels in (("mobilefacenet_128d", 128, 192), ("edgeface_xs_512d", 512, 96)):
        path = assets / "models" / f"{name}.onnx"
        embedder = load_embedder(path, num_threads=1)
        embeddings, style = embedder.embed(crops)
        assert embedder.is_batched
        assert embedder.norms_known
        assert embeddings.shape == (6, dim)
        assert style.shape == (6, channels, 2)
        session = start_session(read_model(path)[0], num_threads=1)
        mean, std = np.array(embedder.spec.mean), np.array(embedder.spec.std)
        for crop, embedding in zip(crops, embeddings, strict=True):
            image = ((crop / 255 - mean) / std).astype(np.float32).transpose(2, 0, 1)[None]
            (single,) = session.run(None, {session.get_inputs()[0].name: image})
            assert relative_error(embedding, single[0]) < 1e-5


def test_devices(save_network) -> None:
    import onnxruntime

    with pytest.raises(ConfigError, match="'cpu' or 'cuda'"):
        OnnxEmbedder(*save_network(), device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ConfigError, match="pip install onnxruntime-gpu"):
            OnnxEmbedder(*save_network(), device="cuda")
