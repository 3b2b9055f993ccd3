from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders.style_taps import (
    STYLE_OUTPUT,
    add_style_output,
    find_style_taps,
    map_shapes,
)
from probefusion.errors import ConfigError, UnknownNameError
from probefusion.sessions import start_session

onnx = pytest.importorskip("onnx")


def run(model, names, images):
    return start_session(model, num_threads=1).run(names, {"image": images})


def with_maps(model, names):
    """The model with some inner maps as outputs, for the NumPy reference."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    for name in names:
        exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return exposed


def reference(maps):
    """Mean and unbiased standard deviation per channel, in float64, the first map's first."""
    wide = [one.astype(np.float64) for one in maps]
    return np.concatenate(
        [np.stack([m.mean((2, 3)), m.std((2, 3), ddof=1)], axis=-1) for m in wide], axis=1
    )


# 7 to 17 give ReduceMean its axes as an attribute, 18 and later as an input
@pytest.mark.parametrize("opset", [7, 11, 13, 17, 18, 21])
def test_style_is_mean_and_unbiased_std_of_the_taps(network, rng, opset):
    model = network(opset=opset)
    images = rng.standard_normal((3, 3, 112, 112)).astype(np.float32)
    taps = ("stage2", "stage3")
    maps = run(with_maps(model, taps), list(taps), images)
    assert [one.shape for one in maps] == [(3, 4, 28, 28), (3, 6, 14, 14)]
    (style,) = run(add_style_output(model, taps), [STYLE_OUTPUT], images)
    assert style.shape == (3, 10, 2)
    assert style.dtype == np.float32
    # Another graph, so other kernels: rounding at the size of the maps, not of their small means.
    largest = max(np.abs(one).max() for one in maps)
    np.testing.assert_allclose(style, reference(maps), rtol=1e-5, atol=1e-5 * largest)


def test_unbiased_and_biased_deviation_can_be_told_apart(network, rng):
    model = network()
    images = rng.standard_normal((1, 3, 112, 112)).astype(np.float32)
    (maps,) = run(with_maps(model, ["stage3"]), ["stage3"], images)
    biased = maps.astype(np.float64).std((2, 3))
    (style,) = run(add_style_output(model, ("stage2", "stage3")), [STYLE_OUTPUT], images)
    ratio = style[:, 4:, 1] / biased
    np.testing.assert_allclose(ratio, np.sqrt(196 / 195), rtol=1e-4)  # 2.6e-3 from 1


def test_order_of_taps_is_the_order_of_channels(network, rng):
    model = network()
    images = rng.standard_normal((1, 3, 112, 112)).astype(np.float32)
    (first,) = run(add_style_output(model, ("stage2", "stage3")), [STYLE_OUTPUT], images)
    (second,) = run(add_style_output(model, ("stage3", "stage2")), [STYLE_OUTPUT], images)
    expected = np.concatenate([first[:, 4:], first[:, :4]], axis=1)
    np.testing.assert_allclose(second, expected, rtol=0, atol=1e-5 * np.abs(first).max())


def test_maps_far_from_zero_keep_their_deviation(network, rng):
    # Squares of 3000 leave float32 no digits for a deviation of about 1.
    model = network(offset=3000.0)
    images = rng.standard_normal((2, 3, 112, 112)).astype(np.float32)
    maps = run(with_maps(model, ["down2", "stage3"]), ["down2", "stage3"], images)
    (style,) = run(add_style_output(model, ("down2", "stage3")), [STYLE_OUTPUT], images)
    expected = reference(maps)
    assert expected[:, :4, 0].min() > 2900
    assert expected[:, :4, 1].max() < 3
    # Neighbours in float32 are 2.4e-4 apart at 3000: what one graph rounds so, another does not.
    np.testing.assert_allclose(style, expected, rtol=1e-3)


def test_constant_maps_have_deviation_zero(network):
    images = np.zeros((1, 3, 112, 112), np.float32)
    (style,) = run(add_style_output(network(), ("down2", "down3")), [STYLE_OUTPUT], images)
    # Zero but for the rounding of the mean, which depends on how a kernel splits its sum.
    assert style[..., 1].max() <= 1e-5 * np.abs(style[..., 0]).max()


def test_half_precision_maps_are_measured_in_single_precision(network, rng):
    model = network(dtype=np.float16)
    images = rng.standard_normal((2, 3, 112, 112)).astype(np.float16)
    maps = run(with_maps(model, ["stage2", "stage3"]), ["stage2", "stage3"], images)
    (style,) = run(add_style_output(model, ("stage2", "stage3")), [STYLE_OUTPUT], images)
    assert style.dtype == np.float32
    # the runtime may keep more digits inside a fused graph than in a map that it hands out
    np.testing.assert_allclose(style, reference(maps), rtol=5e-3, atol=5e-3)


def test_the_given_model_is_not_changed(network):
    model = network()
    before = model.SerializeToString()
    add_style_output(model, ("stage2", "stage3"))
    find_style_taps(model)
    assert model.SerializeToString() == before


def test_unknown_tap_names_the_nearest_tensors(network):
    with pytest.raises(UnknownNameError, match="did you mean 'stage3'"):
        add_style_output(network(), ("stage2", "stag3"))


@pytest.mark.parametrize("tap", ["flat", "pooled"])
def test_tap_that_is_no_map_is_refused(network, tap):
    with pytest.raises(ConfigError, match=f"{tap}.*expected a floating-point map"):
        add_style_output(network(), ("stage2", tap))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", ["N", 1, 2])
def test_proposal_is_the_last_residual_sum_of_each_size(network, batch, channels_last):
    model = network(batch=batch, channels_last=channels_last)
    assert find_style_taps(model) == ("stage2", "stage3")


def test_a_sum_is_preferred_to_later_maps_of_the_same_size(network):
    model = network()
    place = next(i for i, node in enumerate(model.graph.node) if "stage2" in node.output)
    late = onnx.helper.make_node("Relu", ["stage2"], ["late"])
    model.graph.node.insert(place + 1, late)
    model.graph.node[place + 2].input[0] = "late"
    assert find_style_taps(model) == ("stage2", "stage3")


def test_without_sums_the_last_map_of_each_size_is_proposed(network):
    model = network(residual=False)
    assert find_style_taps(model) == ("stage2", "stage3")


def test_maps_that_nothing_needs_are_not_proposed(network):
    model = network(residual=False)
    place = next(i for i, node in enumerate(model.graph.node) if "stage2" in node.output)
    model.graph.node.insert(place + 1, onnx.helper.make_node("Relu", ["stage2"], ["unused"]))
    assert find_style_taps(model) == ("stage2", "stage3")


def test_maps_that_grow_again_are_not_proposed(network):
    # a side branch enlarges a 14x14 map again before the head
    model = network()
    helper, place = onnx.helper, len(model.graph.node) - 3
    assert model.graph.node[place].op_type == "GlobalAveragePool"
    sizes = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    model.graph.initializer.append(sizes)
    extra = [
        helper.make_node("Resize", ["stage3", "", "scales"], ["enlarged"], mode="nearest"),
        helper.make_node("Add", ["enlarged", "enlarged"], ["late"]),
        helper.make_node("ReduceMean", ["late"], ["level"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Add", ["stage4", "level"], ["lifted"]),
    ]
    for number, node in enumerate(extra):
        model.graph.node.insert(place + number, node)
    model.graph.node[place + len(extra)].input[0] = "lifted"
    assert find_style_taps(model) == ("stage2", "stage3")


def test_proposal_is_empty_without_such_maps(network):
    assert find_style_taps(network(size=64), input_size=64) == ("stage2", "stage3")
    helper = onnx.helper
    flat = helper.make_graph(
        [helper.make_node("Flatten", ["image"], ["out"])],
        "flat",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["N", 3 * 112 * 112])],
    )
    opsets = [helper.make_opsetid("", 17)]
    assert find_style_taps(helper.make_model(flat, opset_imports=opsets, ir_version=8)) == ()


def test_map_shapes_gives_what_a_run_gives(network):
    shapes = map_shapes(network(batch=1), names=["stage3", "stage2"])
    assert shapes == {
        "stage2": ((1, 4, 28, 28), np.dtype(np.float32)),
        "stage3": ((1, 6, 14, 14), np.dtype(np.float32)),
    }


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "taps", "shapes"),
    [
        (
            "mobilefacenet_128d",
            ("/features/features.4/Add_output_0", "/features/features.11/Add_output_0"),
            [(1, 64, 28, 28), (1, 128, 14, 14)],
        ),
        (
            "edgeface_xs_512d",
            (
                "/stages/stages.0/blocks/blocks.2/Add_output_0",
                "/stages/stages.1/blocks/blocks.2/Add_3_output_0",
            ),
            [(1, 32, 28, 28), (1, 64, 14, 14)],
        ),
    ],
)
def test_proposals_for_real_networks(assets, name, taps, shapes):
    model = onnx.load(assets / "models" / f"{name}.onnx")
    assert find_style_taps(model) == taps
    assert [shape for shape, _ in map_shapes(model, names=taps).values()] == shapes
