"""Parameters under their official names: which network they belong to, and loading them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from probefusion.errors import FileFormatError
from probefusion.nn.caface import CAFace, CAFaceConfig

__all__ = ["OFFICIAL_ALIASES", "config_of_official_state_dict", "load_official_state_dict"]

OFFICIAL_ALIASES = {"style_maker.cfcs.0": "style_maker.cfc"}
"""Second names under which official files hold the same parameter once more."""

_WIDTH_OF = "fusion_net.clustering_layer.group_token"
_STYLE_OF = "style_maker.cfc"
_BLOCK = re.compile(r"fusion_net\.clustering_layer\.blocks\.(\d+)\.")


def config_of_official_state_dict(
    state: Mapping[str, Tensor], *, dim: int = 512, stochastic_depth: float = 0.1
) -> CAFaceConfig:
    """Reads size and variant of the network off the shapes of its parameters.

    Args:
        state: Parameters under their official names, without the `aggregator.` of a Lightning file.
        dim: D, used only where the file does not tell it (one weight per cluster).
        stochastic_depth: Rate for further training; the file does not hold it.

    Returns:
        The configuration into which `load_official_state_dict` will load them.

    Raises:
        FileFormatError: If a parameter that tells the size is missing.
    """
    blocks = {int(match.group(1)) for key in state if (match := _BLOCK.match(key))}
    depth = len(blocks)
    last = f"fusion_net.conf_mlp.{depth}.fc2.bias"
    missing = [key for key in (_WIDTH_OF, _STYLE_OF, last) if key not in state]
    if missing or not depth:
        raise FileFormatError(
            f"state dict: expected CAFace parameters under their official names, missing "
            f"{', '.join(missing) or 'all transformer blocks'}. In a Lightning checkpoint take the "
            f"keys behind 'aggregator.'."
        )
    weights_per_cluster = state[last].shape[0]
    return CAFaceConfig(
        dim=dim if weights_per_cluster == 1 else weights_per_cluster,
        style_channels=state[_STYLE_OF].shape[0],
        num_clusters=state[_WIDTH_OF].shape[1],
        depth=depth,
        per_dimension_weights=weights_per_cluster != 1,
        stochastic_depth=stochastic_depth,
    )


def load_official_state_dict(network: CAFace, state: Mapping[str, Tensor]) -> None:
    """Loads official parameters; every key is accounted for.

    Official files hold one parameter twice, see `OFFICIAL_ALIASES`: the second name is accepted
    if it holds the same numbers. Any other difference of names or shapes is refused, and then
    nothing is loaded.

    Args:
        network: Changed in place.
        state: Parameters under their official names, without the `aggregator.` of a Lightning file.

    Raises:
        FileFormatError: If a key is missing, unknown or of another shape, or an alias holds
            numbers of its own.
    """
    given = dict(state)
    for alias, name in OFFICIAL_ALIASES.items():
        if alias in given:
            copy = given.pop(alias)
            if name not in given or not torch.equal(copy, given[name]):
                raise FileFormatError(
                    f"state dict: expected {alias!r} to repeat {name!r}, got other numbers. "
                    f"Check which of the two was trained and keep that one as {name!r}."
                )
    expected = network.state_dict()
    missing = sorted(expected.keys() - given.keys())
    unknown = sorted(given.keys() - expected.keys())
    if missing or unknown:
        raise FileFormatError(
            f"state dict: expected the {len(expected)} parameters of {network.config}; "
            f"missing: {_listed(missing)}; unknown: {_listed(unknown)}. "
            f"Build the network with config_of_official_state_dict(state)."
        )
    for name, tensor in expected.items():
        if given[name].shape != tensor.shape:
            raise FileFormatError(
                f"state dict: expected {name} of shape {tuple(tensor.shape)}, got "
                f"{tuple(given[name].shape)}. "
                f"Build the network with config_of_official_state_dict(state)."
            )
    network.load_state_dict(given, strict=True)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3]) or "none"
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
