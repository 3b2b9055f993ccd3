"""Loading official parameters: every key is accounted for."""

from __future__ import annotations

import pytest
import torch

from probefusion.errors import FileFormatError
from probefusion.nn import (
    CAFace,
    CAFaceConfig,
    config_of_official_state_dict,
    load_official_state_dict,
)

SMALL = CAFaceConfig(dim=16, style_channels=12)


@pytest.fixture
def state():
    values = CAFace(SMALL).state_dict()
    return {name: value + 1 for name, value in values.items()}


def load(state):
    network = CAFace(SMALL)
    load_official_state_dict(network, state)
    return network.state_dict()


def test_all_parameters_arrive(state):
    loaded = load(state)
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_the_official_alias_is_accepted(state):
    loaded = load(state | {"style_maker.cfcs.0": state["style_maker.cfc"].clone()})
    assert torch.equal(loaded["style_maker.cfc"], state["style_maker.cfc"])


def test_an_alias_with_numbers_of_its_own_is_refused(state):
    with pytest.raises(FileFormatError, match=r"expected 'style_maker.cfcs.0' to repeat"):
        load(state | {"style_maker.cfcs.0": state["style_maker.cfc"] + 1})


def test_an_alias_alone_is_refused(state):
    with pytest.raises(FileFormatError, match=r"'style_maker.cfcs.0'"):
        load(state | {"style_maker.cfcs.0": state.pop("style_maker.cfc")})


def test_missing_and_unknown_keys_are_named(state):
    del state["norm_emb.scale"]
    with pytest.raises(FileFormatError, match=r"missing: norm_emb\.scale; unknown: center\.weight"):
        load(state | {"center.weight": torch.zeros(3, 16)})


def test_a_wrong_shape_is_refused_and_nothing_is_loaded(state):
    network = CAFace(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state["style_maker.linear.bias"] = torch.zeros(63)
    with pytest.raises(FileFormatError, match=r"style_maker.linear.bias of shape \(64,\), got"):
        load_official_state_dict(network, state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        CAFaceConfig(dim=128, num_clusters=6, depth=3, style_channels=10),
        CAFaceConfig(dim=32, num_clusters=8, depth=3, per_dimension_weights=False),
    ],
)
def test_the_config_is_read_off_the_shapes(config):
    state = CAFace(config).state_dict()
    assert config_of_official_state_dict(state, dim=config.dim) == config


@pytest.mark.parametrize(
    "missing", ["style_maker.cfc", "fusion_net.clustering_layer.group_token", "fusion_net.conf_mlp"]
)
def test_a_foreign_state_dict_has_no_config(state, missing):
    left = {name: value for name, value in state.items() if not name.startswith(missing)}
    with pytest.raises(FileFormatError, match="aggregator"):
        config_of_official_state_dict(left)


def test_an_empty_state_dict_has_no_config():
    with pytest.raises(FileFormatError, match="official names"):
        config_of_official_state_dict({})
