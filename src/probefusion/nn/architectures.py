"""The trainable architectures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.nn.caface import CAFace, CAFaceConfig
from probefusion.nn.exact import ExactFuser, ExactFuserConfig, FastFuserConfig
from probefusion.nn.imagewise import ImagewiseNetwork
from probefusion.nn.rivals import (
    CascadedAttention,
    ComponentWise,
    ContextAttention,
    PrecisionWeighted,
    Recurrent,
    RivalConfig,
    ScalarQuality,
    SetAttention,
    SparseExperts,
)
from probefusion.nn.setwise import SetwiseNetwork

__all__ = ["ARCHITECTURES", "Architecture", "build_network", "network_config"]

Network = CAFace | ExactFuser | ImagewiseNetwork | SetwiseNetwork


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network class with its configuration class.

    Args:
        config: Frozen dataclass with at least `dim` and `style_channels`.
        network: Module that takes it, with `training_pass`.
        kind: "imagewise" or "setwise", as in a fuser's card; "whole-set" for networks without a
            state, which cannot become a fuser folder.
        is_rival: Whether it is here to be compared with, in PyTorch only.
    """

    config: type[Any]
    network: Callable[..., Network]
    kind: str
    is_rival: bool = False


def _rival(network: Callable[..., Network], kind: str) -> Architecture:
    return Architecture(config=RivalConfig, network=network, kind=kind, is_rival=True)


ARCHITECTURES: Mapping[str, Architecture] = {
    "exact": Architecture(config=ExactFuserConfig, network=ExactFuser, kind="imagewise"),
    "exact-fast": Architecture(config=FastFuserConfig, network=ExactFuser, kind="imagewise"),
    "official": Architecture(config=CAFaceConfig, network=CAFace, kind="setwise"),
    "scalar-quality": _rival(ScalarQuality, "imagewise"),
    "component-wise": _rival(ComponentWise, "imagewise"),
    "precision-weighted": _rival(PrecisionWeighted, "imagewise"),
    "cascaded-attention": _rival(CascadedAttention, "whole-set"),
    "context-attention": _rival(ContextAttention, "whole-set"),
    "sparse-experts": _rival(SparseExperts, "whole-set"),
    "set-attention": _rival(SetAttention, "whole-set"),
    "recurrent": _rival(Recurrent, "whole-set"),
}
"""All networks that the training loop knows."""


def build_network(
    architecture: str, settings: Mapping[str, Any], *, rng: np.random.Generator | None = None
) -> Network:
    """A network with first parameter values.

    Args:
        architecture: One of `ARCHITECTURES`.
        settings: Fields of its configuration; those left out keep their default.
        rng: Source of the parameter values.

    Raises:
        UnknownNameError: If there is no such architecture or setting.
        ConfigError: If a setting is out of range.
    """
    if architecture not in ARCHITECTURES:
        raise UnknownNameError("architecture", architecture, ARCHITECTURES)
    chosen = ARCHITECTURES[architecture]
    known = {entry.name for entry in fields(chosen.config)}
    for name in settings:
        if name not in known:
            raise ConfigError(str(UnknownNameError(f"setting of {architecture!r}", name, known)))
    config: Any = chosen.config(**settings)
    return chosen.network(config, rng=rng)


def network_config(network: Network) -> dict[str, Any]:
    """All settings of a network, as `build_network` takes them."""
    return asdict(network.config)
