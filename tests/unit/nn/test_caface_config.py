"""Settings of CAFace are checked when they are built."""

from __future__ import annotations

import dataclasses

import pytest

from probefusion.errors import ConfigError
from probefusion.nn import CAFace, CAFaceConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dim", 0),
        ("dim", 512.0),
        ("style_channels", -1),
        ("num_clusters", 0),
        ("num_clusters", True),
        ("depth", 0),
        ("depth", "2"),
        ("per_dimension_weights", 1),
        ("stochastic_depth", 1.0),
        ("stochastic_depth", -0.1),
        ("stochastic_depth", float("nan")),
        ("stochastic_depth", True),
        ("stochastic_depth", "0.1"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"^{name}: expected .* got"):
        CAFaceConfig(**{name: value})


def test_it_is_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CAFaceConfig().dim = 3
    with pytest.raises(TypeError):
        CAFaceConfig(512)


def test_no_config_means_the_released_size():
    assert CAFace().config == CAFaceConfig()
