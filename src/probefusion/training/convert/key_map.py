"""Which key of a foreign checkpoint belongs to what: every key is accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from probefusion.errors import ConfigError, FileFormatError, UnknownNameError
from probefusion.nn import BACKBONES, CAFaceConfig
from probefusion.nn.backbone import STAGE_WIDTHS

__all__ = [
    "CheckpointParts",
    "check_decoder_name",
    "match_backbone",
    "resolve_channel_order",
    "resolve_preprocessing",
    "sort_keys",
    "style_stages",
]

_ANCHORS = ("input_layer.0.weight", "conv1.weight")
"""The first parameter of an IR network and of an IResNet."""

_MAGFACE = "MagFace"

_PREFIXES = {
    "features.module.": _MAGFACE,
    "features.": _MAGFACE,
    "model.net.": "CVLface (Hugging Face)",
    "net.": "CVLface",
    "model.": "Lightning",
    "module.": "DataParallel",
    "backbone.": "state dict",
    "": "state dict",
}
_FUSER = "aggregator."
_CENTRES = "center.weight"
_HEADS = ("head.", "classifier.", "loss.")
"""Class weights and running values of the training loss; inference has no use for them."""

_MAGFACE_HEAD = ("fc.weight", "module.fc.weight")
"""Where MagFace keeps its class weights, beside the network below `features`."""

_ARCHITECTURES = {"ir_101_arcface": "iresnet100"}
"""Official names that differ from those in `BACKBONES`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckpointParts:
    """The keys of a checkpoint, sorted.

    Args:
        layout: Whose layout it is, in words.
        backbone: Parameters of the embedder under their own names.
        fuser: Parameters of the CAFace fuser under their own names; empty without one.
        centres: (S, D) class centres, or None.
        dropped: Keys that only training needs.
    """

    layout: str
    backbone: Mapping[str, Tensor]
    fuser: Mapping[str, Tensor]
    centres: Tensor | None
    dropped: tuple[str, ...]


def sort_keys(state: Mapping[str, Tensor], *, where: str) -> CheckpointParts:
    """Sorts the keys of a state dict into embedder, fuser, class centres and training's own.

    Args:
        state: Every tensor by its key.
        where: Name of the file, for messages.

    Raises:
        FileFormatError: If there is no embedder in it, or a key belongs to nothing known.
    """
    prefix = next((p for p in _PREFIXES if any(p + anchor in state for anchor in _ANCHORS)), None)
    if prefix is None:
        shown = ", ".join(list(state)[:4])
        raise FileFormatError(
            f"{where}: expected an IR network (AdaFace, CVLface) or an IResNet (ArcFace), found "
            f"neither {' nor '.join(_ANCHORS)} behind any known prefix; the keys begin with {shown}."
        )
    is_magface = _PREFIXES[prefix] == _MAGFACE
    backbone: dict[str, Tensor] = {}
    fuser: dict[str, Tensor] = {}
    dropped, unknown = [], []
    for key, tensor in state.items():
        if key.startswith(_FUSER):
            fuser[key.removeprefix(_FUSER)] = tensor
        elif key == _CENTRES:
            continue
        elif key.startswith(_HEADS) or (is_magface and key in _MAGFACE_HEAD):
            dropped.append(key)
        elif key.startswith(prefix):
            backbone[key.removeprefix(prefix)] = tensor
        else:
            unknown.append(key)
    if unknown:
        raise FileFormatError(
            f"{where}: {len(unknown)} keys belong to nothing known: {', '.join(unknown[:5])}. They "
            f"are not dropped silently; remove them from the file if they are not needed."
        )
    layout = "CAFace (Lightning)" if fuser else _PREFIXES[prefix]
    return CheckpointParts(
        layout=layout,
        backbone=backbone,
        fuser=fuser,
        centres=state.get(_CENTRES),
        dropped=tuple(dropped),
    )


def match_backbone(
    state: Mapping[str, Tensor], *, declared: object = None, where: str
) -> tuple[str, dict[str, Tensor]]:
    """Finds the network that has exactly these parameters.

    Args:
        state: Parameters under the network's own names.
        declared: What the checkpoint's settings say the architecture is, or None.
        where: Name of the file, for messages.

    Returns:
        Its name in `BACKBONES`, and the complete state: counters of batches, which old files lack
        and inference does not read, are filled with zero.

    Raises:
        FileFormatError: If no network fits, a shape differs, a value is not finite, or the
            settings say another one.
    """
    given = {key for key in state if not key.endswith("num_batches_tracked")}
    mismatches = []
    for name, build in BACKBONES.items():
        with torch.device("meta"):
            expected = build().state_dict()
        wanted = {key for key in expected if not key.endswith("num_batches_tracked")}
        missing, unknown = wanted - given, given - wanted
        if not missing and not unknown:
            _check_declared(name, declared, where)
            return name, _checked(state, expected, name, where)
        mismatches.append((len(missing) + len(unknown), name, missing, unknown))
    _, name, missing, unknown = min(mismatches, key=lambda mismatch: mismatch[0])
    raise FileFormatError(
        f"{where}: its parameters are those of none of {', '.join(BACKBONES)}. Nearest: {name}; "
        f"missing {_some(missing)}; unknown {_some(unknown)}."
    )


def _checked(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str, where: str
) -> dict[str, Tensor]:
    complete = {}
    for key, like in expected.items():
        if key not in state:
            complete[key] = torch.zeros(like.shape, dtype=like.dtype)
            continue
        tensor = state[key]
        if tensor.shape != like.shape:
            raise FileFormatError(
                f"{where}: {key} of {name}: expected shape {tuple(like.shape)}, got "
                f"{tuple(tensor.shape)}."
            )
        if like.dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
            raise FileFormatError(f"{where}: {key} of {name} holds NaN or infinity.")
        complete[key] = tensor.to(like.dtype)
    return complete


def _check_declared(name: str, declared: object, where: str) -> None:
    if declared is None:
        return
    told = _ARCHITECTURES.get(str(declared), str(declared))
    if told in BACKBONES and told != name:
        raise FileFormatError(
            f"{where}: its settings say arch {declared!r}, its parameters are those of {name}."
        )


def check_decoder_name(name: object, config: CAFaceConfig, *, where: str) -> None:
    """Compares what an official name says of a fuser with what its parameters say.

    `catv9_g4_conf512_small`: `gK` = K clusters (default 4), `conf512` = one weight per dimension,
    otherwise one per cluster, `small` = 2 transformer and mixer blocks, otherwise 3.

    Args:
        name: `decoder_name` of the checkpoint's settings; None is not compared.
        config: What the shapes of the parameters say.
        where: Name of the file, for messages.

    Raises:
        FileFormatError: If the two contradict each other.
    """
    if name is None:
        return
    clusters = re.search(r"(?:^|_)g(\d+)(?:_|$)", str(name))
    told = {
        "num_clusters": int(clusters.group(1)) if clusters else 4,
        "depth": 2 if "small" in str(name) else 3,
        "per_dimension_weights": "conf512" in str(name),
    }
    for setting, value in told.items():
        found = getattr(config, setting)
        if found != value:
            raise FileFormatError(
                f"{where}: decoder_name {name!r} says {setting} = {value}, its parameters say {found}."
            )


def style_stages(style_index: object, channels: int, *, where: str) -> tuple[int, ...]:
    """The stages of the embedder that the fuser takes style from.

    Args:
        style_index: `style_index` of the checkpoint's settings, as text or list: 1, 3, 5, 7 are the
            ends of stages 1 to 4. None stands for 3, 5, as published.
        channels: Style channels that the fuser's parameters have.
        where: Name of the file, for messages.

    Returns:
        Stage numbers from 1 to 4.

    Raises:
        FileFormatError: If the index is not one of these or gives another number of channels.
    """
    try:
        indices = _numbers(style_index)
        stages = tuple({1: 1, 3: 2, 5: 3, 7: 4}[index] for index in indices)
    except (KeyError, ValueError, TypeError) as error:
        raise FileFormatError(
            f"{where}: style_index: expected some of 1, 3, 5, 7 (ends of stages 1 to 4), got "
            f"{style_index!r}. Style over positions (2, 4, 6, 8) is not part of the released method."
        ) from error
    have = sum(STAGE_WIDTHS[stage - 1] for stage in stages)
    if have != channels:
        raise FileFormatError(
            f"{where}: style_index {style_index!r} gives {have} channels, the fuser has {channels}."
        )
    return stages


def _numbers(style_index: Any) -> list[int]:
    if style_index is None:
        return [3, 5]
    parts = style_index.split(",") if isinstance(style_index, str) else list(style_index)
    if not parts:
        raise ValueError(style_index)
    return [int(part) for part in parts]


def resolve_preprocessing(given: str | None, layout: str) -> str:
    """How pixels go into the network: as AdaFace, ArcFace and CVLface do it, or as MagFace.

    Args:
        given: `"arcface"`: (x / 255 - 0.5) / 0.5, `"magface"`: x / 255, BGR; or None.
        layout: Whose layout the file has; MagFace's is known by its keys, unless they were renamed.

    Raises:
        ConfigError: If it is something else, or the layout is another's.
    """
    told = "magface" if layout == _MAGFACE else None
    if given not in (None, "arcface", "magface"):
        raise ConfigError(f"preprocessing: expected 'arcface' or 'magface', got {given!r}.")
    if None not in (given, told) and given != told:
        raise ConfigError(
            f"preprocessing: the keys are MagFace's, whose networks take x / 255, got {given!r}. Leave it out."
        )
    return given or told or "arcface"


def resolve_channel_order(given: str | None, network: str, layout: str, *, where: str) -> str:
    """Which channel order the exported network takes.

    Official AdaFace and CAFace networks were trained on BGR. IResNets were trained on RGB, and
    our network reverses BGR inside, so it takes BGR as well. CVLface trained some networks on RGB
    and some on BGR; that stands only in the settings beside the weights.

    Args:
        given: `"RGB"` or `"BGR"`: the order the weights were trained on, or None.
        network: Name in `BACKBONES`.
        layout: Whose layout the file has.
        where: Name of the file, for messages.

    Raises:
        ConfigError: If it must be said and is not, or is no channel order.
        UnknownNameError: If there is no such network.
    """
    if network not in BACKBONES:
        raise UnknownNameError("network", network, BACKBONES)
    if given not in (None, "RGB", "BGR"):
        raise ConfigError(f"channel_order: expected 'RGB' or 'BGR', got {given!r}.")
    reverses = network.startswith("iresnet")
    if given is None and layout.startswith("CVLface"):
        raise ConfigError(
            f"{where}: this layout does not tell whether the weights were trained on RGB or BGR. "
            f"Put its config.json or model.yaml (color_space) beside it, or say --channel-order RGB."
        )
    trained_on = given or ("RGB" if reverses else "BGR")
    if not reverses:
        return trained_on
    return "BGR" if trained_on == "RGB" else "RGB"


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:3]) or "none"
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"
