"""The trainable architectures by name: the two of the product, and those that others register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.nn.caface import CAFace, CAFaceConfig
from probefusion.nn.exact import ExactFuser, ExactFuserConfig, FastFuserConfig
from probefusion.nn.imagewise import ImagewiseNetwork
from probefusion.nn.interface import TrainableFuser
from probefusion.nn.setwise import SetwiseNetwork
from probefusion.settings import check_settings

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "build_network",
    "check_exportable",
    "network_config",
    "register_architecture",
]

Network = CAFace | ExactFuser | ImagewiseNetwork | SetwiseNetwork


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network class with its configuration class.

    Args:
        config: Frozen dataclass with at least `dim` and `style_channels`.
        network: Gives a `TrainableFuser` from it and `rng`: an `ImagewiseNetwork`, or a `SetwiseNetwork`
            where the whole set is needed at once.
        kind: "imagewise" or "setwise", as in a fuser's card; "whole-set" for networks without a
            state, which cannot become a fuser folder.
    """

    config: type[Any]
    network: Callable[..., Network]
    kind: str


_KNOWN: dict[str, Architecture] = {
    "exact": Architecture(config=ExactFuserConfig, network=ExactFuser, kind="imagewise"),
    "exact-fast": Architecture(config=FastFuserConfig, network=ExactFuser, kind="imagewise"),
    "official": Architecture(config=CAFaceConfig, network=CAFace, kind="setwise"),
}

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(_KNOWN)
"""All networks that the training loop knows: ours, and what `register_architecture` added."""


def register_architecture(name: str, architecture: Architecture) -> None:
    """Makes an architecture of one's own known to the training loop.

    Args:
        name: How it is called from now on.
        architecture: What it is.

    Raises:
        ConfigError: If another architecture has that name.
    """
    known = _KNOWN.setdefault(name, architecture)
    if known != architecture:
        raise ConfigError(
            f"architecture {name!r}: expected a new name, but {known.network.__name__} has it already. "
            f"Choose another."
        )


def build_network(
    architecture: str, settings: Mapping[str, Any], *, rng: np.random.Generator | None = None
) -> Network:
    """A network with first parameter values.

    Args:
        architecture: One of `ARCHITECTURES`.
        settings: Fields of its configuration; those left out keep their default.
        rng: Source of the parameter values.

    Raises:
        UnknownNameError: If there is no such architecture.
        ConfigError: If a setting is unknown (a close one is suggested), is of another type or out of range.
    """
    if architecture not in ARCHITECTURES:
        raise UnknownNameError("architecture", architecture, ARCHITECTURES)
    chosen = ARCHITECTURES[architecture]
    checked = check_settings(
        settings, chosen.config, source="network", kind=f"setting of {architecture!r}"
    )
    config: Any = chosen.config(**checked)
    network = chosen.network(config, rng=rng)
    if not isinstance(network, TrainableFuser):
        raise ConfigError(
            f"architecture {architecture!r}: expected a network with training_pass, got "
            f"{type(network).__name__}. Derive it from ImagewiseNetwork or SetwiseNetwork."
        )
    return network


def check_exportable(architecture: str, settings: Mapping[str, Any]) -> None:
    """Refuses what could be trained but not become a fuser folder.

    Args:
        architecture: One of `ARCHITECTURES`.
        settings: As `build_network` takes them, without `dim` and `style_channels`.

    Raises:
        UnknownNameError, ConfigError: As `build_network`.
        ConfigError: If the network needs whole sets at once, or what it adds up is not of the length
            of an embedding.
    """
    dim = 3
    network = build_network(architecture, {"dim": dim, "style_channels": 1, **settings})
    if isinstance(network, SetwiseNetwork):
        raise ConfigError(
            f"architecture: {architecture!r} looks at whole sets at once and has no state, so it "
            f"cannot become a fuser folder. It is for comparisons only; choose another."
        )
    if isinstance(network, ImagewiseNetwork):
        with torch.no_grad():
            terms = network.eval().terms(torch.ones(1, 2, dim), torch.ones(1, 2, 1, 2))
        if terms.values.shape[-1] != dim:
            raise ConfigError(
                f"architecture: {architecture!r} adds up {terms.values.shape[-1] // dim} D numbers an "
                f"image, a fuser folder holds sums of D numbers. It is for comparisons only; choose another."
            )


def network_config(network: Network) -> dict[str, Any]:
    """All settings of a network, as `build_network` takes them."""
    return asdict(network.config)
