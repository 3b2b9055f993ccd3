"""Architectures by name: settings from a mapping, further ones, what can become a fuser folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pytest
from torch import nn

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.nn import CAFaceConfig
from probefusion.nn.architectures import (
    ARCHITECTURES,
    Architecture,
    build_network,
    check_exportable,
    network_config,
    register_architecture,
)


@dataclass(frozen=True, kw_only=True)
class PlainConfig:
    dim: int = 4
    style_channels: int = 0


class Plain(nn.Module):
    def __init__(self, config, *, rng=None) -> None:
        super().__init__()
        self.config = config


def test_a_mapping_gives_the_same_config() -> None:
    config = CAFaceConfig(dim=8, style_channels=2, num_clusters=8, stochastic_depth=0.0)
    assert network_config(build_network("official", asdict(config))) == asdict(config)


def test_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'num_clusters'"):
        build_network("official", {"num_cluster": 4})
    with pytest.raises(ConfigError, match="unknown setting of 'exact' 'zzz'"):
        build_network("exact", {"zzz": 4})
    with pytest.raises(ConfigError, match="hidden: expected int, got '64'"):
        build_network("exact", {"hidden": "64"})
    with pytest.raises(ConfigError, match="hidden: expected an integer of at least 1"):
        build_network("exact", {"hidden": 0})
    with pytest.raises(UnknownNameError, match="did you mean 'exact'"):
        build_network("exakt", {})


def test_a_name_stands_for_one_architecture(monkeypatch) -> None:
    from probefusion.nn import architectures

    monkeypatch.setattr(architectures, "_KNOWN", dict(ARCHITECTURES))
    monkeypatch.setattr(architectures, "ARCHITECTURES", architectures._KNOWN)
    plain = Architecture(config=PlainConfig, network=Plain, kind="imagewise")
    register_architecture("plain", plain)
    register_architecture("plain", plain)
    with pytest.raises(ConfigError, match="Plain has it already"):
        register_architecture("plain", ARCHITECTURES["official"])
    with pytest.raises(ConfigError, match="expected a network with training_pass, got Plain"):
        build_network("plain", {})


@pytest.mark.parametrize("architecture", ["exact", "exact-fast", "official"])
def test_those_of_the_product_become_fuser_folders(architecture) -> None:
    check_exportable(architecture, {})


def test_networks_without_a_state_of_embeddings_do_not() -> None:
    import research.rivals  # noqa: F401 - registers them

    check_exportable("scalar-quality", {"hidden": 8})
    with pytest.raises(ConfigError, match="'set-attention' looks at whole sets at once"):
        check_exportable("set-attention", {})
    with pytest.raises(ConfigError, match="'component-wise' adds up 2 D numbers"):
        check_exportable("component-wise", {})
