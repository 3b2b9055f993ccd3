"""What a foreign checkpoint says of itself, or its owner says of it, against what its parameters say."""

from __future__ import annotations

import re
from typing import Any

from probefusion.errors import ConfigError, FileFormatError, UnknownNameError
from probefusion.nn import BACKBONES, CAFaceConfig
from probefusion.nn.backbone import STAGE_WIDTHS

__all__ = [
    "MAGFACE",
    "check_decoder_name",
    "resolve_channel_order",
    "resolve_preprocessing",
    "style_stages",
]

MAGFACE = "MagFace"
"""Name of the layout of MagFace's checkpoints."""


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
    told = "magface" if layout == MAGFACE else None
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
