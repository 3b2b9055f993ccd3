"""Which key of a foreign checkpoint belongs to what: every key is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from probefusion.errors import FileFormatError
from probefusion.nn import BACKBONES
from probefusion.training.convert.declared_settings import MAGFACE

__all__ = [
    "CheckpointParts",
    "match_backbone",
    "sort_keys",
]

_ANCHORS = ("input_layer.0.weight", "conv1.weight")
"""The first parameter of an IR network and of an IResNet."""

_PREFIXES = {
    "features.module.": MAGFACE,
    "features.": MAGFACE,
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
    is_magface = _PREFIXES[prefix] == MAGFACE
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


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:3]) or "none"
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"
