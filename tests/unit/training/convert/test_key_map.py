from __future__ import annotations

import pytest
import torch

from probefusion.errors import ConfigError, FileFormatError
from probefusion.nn import BACKBONES, CAFaceConfig
from probefusion.training.convert.declared_settings import (
    check_decoder_name,
    resolve_channel_order,
    resolve_preprocessing,
    style_stages,
)
from probefusion.training.convert.key_map import match_backbone, sort_keys


def weights(name, prefix=""):
    """Zeros of the right shapes that take no memory."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in BACKBONES[name]().state_dict().items()}
    return {f"{prefix}{key}": torch.zeros(()).expand(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize(
    ("prefix", "layout"),
    [
        ("model.", "Lightning"),
        ("net.", "CVLface"),
        ("model.net.", "CVLface (Hugging Face)"),
        ("module.", "DataParallel"),
        ("backbone.", "state dict"),
        ("", "state dict"),
        ("features.module.", "MagFace"),
        ("features.", "MagFace"),
    ],
)
@pytest.mark.parametrize("name", ["ir_18", "iresnet18"])
def test_every_layout_is_recognised(name, prefix, layout):
    parts = sort_keys(weights(name, prefix), where="x.pt")
    assert parts.layout == layout
    assert (parts.dropped, parts.centres, parts.fuser) == ((), None, {})
    assert match_backbone(parts.backbone, where="x.pt")[0] == name


def test_training_keys_are_set_apart_and_unknown_ones_refused():
    state = weights("ir_18", "model.") | {
        "head.kernel": torch.zeros(512, 10),
        "head.batch_mean": torch.zeros(1),
        "center.weight": torch.zeros(10, 512),
        "aggregator.style_maker.cfc": torch.zeros(384, 2),
    }
    parts = sort_keys(state, where="x.ckpt")
    assert parts.dropped == ("head.kernel", "head.batch_mean")
    assert parts.centres.shape == (10, 512)
    assert set(parts.fuser) == {"style_maker.cfc"}
    assert parts.layout == "CAFace (Lightning)"
    with pytest.raises(FileFormatError, match="1 keys belong to nothing known: surprise"):
        sort_keys(state | {"surprise": torch.zeros(1)}, where="x.ckpt")
    with pytest.raises(FileFormatError, match="expected an IR network"):
        sort_keys({"visual.proj": torch.zeros(1)}, where="x.ckpt")


def test_the_class_weights_of_magface_are_only_for_training():
    state = weights("iresnet18", "features.module.") | {"fc.weight": torch.zeros(512, 10)}
    parts = sort_keys(state, where="x.pth")
    assert (parts.layout, parts.dropped) == ("MagFace", ("fc.weight",))
    assert match_backbone(parts.backbone, where="x.pth")[0] == "iresnet18"
    bare = sort_keys(weights("iresnet18"), where="x.pth")
    assert "fc.weight" in bare.backbone


@pytest.mark.parametrize(
    ("given", "layout", "found"),
    [
        (None, "MagFace", "magface"),
        (None, "state dict", "arcface"),
        ("magface", "state dict", "magface"),
        ("arcface", "Lightning", "arcface"),
    ],
)
def test_preprocessing(given, layout, found):
    assert resolve_preprocessing(given, layout) == found


def test_a_preprocessing_that_contradicts_the_keys():
    with pytest.raises(ConfigError, match="keys are MagFace's"):
        resolve_preprocessing("arcface", "MagFace")
    with pytest.raises(ConfigError, match="expected 'arcface' or 'magface'"):
        resolve_preprocessing("caffe", "state dict")


def test_differences_to_the_network_are_named():
    state = weights("ir_18")
    short = {key: value for key, value in state.items() if "body.3." not in key}
    with pytest.raises(FileFormatError, match=r"Nearest: ir_18; missing body\.3"):
        match_backbone(short, where="x.pt")
    with pytest.raises(FileFormatError, match=r"unknown body\.9\.se"):
        match_backbone(state | {"body.9.se": torch.zeros(1)}, where="x.pt")
    with pytest.raises(FileFormatError, match=r"output_layer\.3\.bias of ir_18: expected shape"):
        match_backbone(state | {"output_layer.3.bias": torch.zeros(256)}, where="x.pt")
    nan = torch.full((512,), float("nan"))
    with pytest.raises(FileFormatError, match="NaN or infinity"):
        match_backbone(state | {"output_layer.3.bias": nan}, where="x.pt")
    with pytest.raises(FileFormatError, match="arch 'ir_101', its parameters are those of ir_18"):
        match_backbone(state, declared="ir_101", where="x.pt")
    with pytest.raises(FileFormatError, match="arch 'ir_101_arcface'"):
        match_backbone(state, declared="ir_101_arcface", where="x.pt")


def test_counters_that_old_files_lack_are_filled():
    state = weights("iresnet18")
    old = {key: value for key, value in state.items() if "num_batches" not in key}
    name, complete = match_backbone(old, declared="something else", where="x.pth")
    assert name == "iresnet18"
    assert complete.keys() == state.keys()


@pytest.mark.parametrize(
    ("name", "clusters", "depth", "per_dimension"),
    [
        ("catv9_g4_conf512_small", 4, 2, True),
        ("catv9_conf512_small", 4, 2, True),
        ("catv9_g4", 4, 3, False),
        ("catv9_g1_small", 1, 2, False),
        ("catv9_g16_conf512", 16, 3, True),
        ("cat_g64_small", 64, 2, False),
        ("cat_default", 4, 3, False),
    ],
)
def test_official_names_of_fusers(name, clusters, depth, per_dimension):
    config = CAFaceConfig(num_clusters=clusters, depth=depth, per_dimension_weights=per_dimension)
    check_decoder_name(name, config, where="x")
    check_decoder_name(None, config, where="x")
    for other in (
        CAFaceConfig(num_clusters=clusters + 1, depth=depth, per_dimension_weights=per_dimension),
        CAFaceConfig(num_clusters=clusters, depth=depth + 1, per_dimension_weights=per_dimension),
        CAFaceConfig(num_clusters=clusters, depth=depth, per_dimension_weights=not per_dimension),
    ):
        with pytest.raises(FileFormatError, match="its parameters say"):
            check_decoder_name(name, other, where="x")


@pytest.mark.parametrize(
    ("index", "channels", "stages"),
    [
        (None, 384, (2, 3)),
        ([3, 5], 384, (2, 3)),
        ("3,5", 384, (2, 3)),
        ("1,3,5,7", 960, (1, 2, 3, 4)),
        ([7], 512, (4,)),
        ((5, 1), 320, (3, 1)),
    ],
)
def test_style_index(index, channels, stages):
    assert style_stages(index, channels, where="x") == stages


@pytest.mark.parametrize("index", ["", "2,4", [3, 4], "3;5", 5, [], "x"])
def test_other_style_indices_are_refused(index):
    with pytest.raises(FileFormatError, match="style_index"):
        style_stages(index, 384, where="x")
    with pytest.raises(FileFormatError, match="gives 384 channels, the fuser has 960"):
        style_stages("3,5", 960, where="x")


@pytest.mark.parametrize(
    ("given", "network", "layout", "order"),
    [
        (None, "ir_101", "Lightning", "BGR"),
        (None, "ir_50", "state dict", "BGR"),
        (None, "iresnet100", "state dict", "BGR"),
        ("RGB", "ir_101", "CVLface", "RGB"),
        ("BGR", "ir_101", "CVLface", "BGR"),
        ("RGB", "iresnet50", "CVLface", "BGR"),
        ("BGR", "iresnet50", "CVLface", "RGB"),
    ],
)
def test_channel_order(given, network, layout, order):
    assert resolve_channel_order(given, network, layout, where="x") == order


def test_a_channel_order_that_must_be_said():
    with pytest.raises(ConfigError, match=r"--channel-order RGB"):
        resolve_channel_order(None, "ir_101", "CVLface (Hugging Face)", where="x")
    with pytest.raises(ConfigError, match="'RGB' or 'BGR'"):
        resolve_channel_order("GBR", "ir_101", "Lightning", where="x")
