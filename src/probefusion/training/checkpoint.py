"""Checkpoints of a running training: safetensors with a hash of all that they hold, written atomically."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from probefusion.errors import FileFormatError, IntegrityError, MismatchError
from probefusion.files import replace_file
from probefusion.files.content_hash import content_hash
from probefusion.files.reading import in_one_line, reading
from probefusion.nn.architectures import ARCHITECTURES
from probefusion.training.config import TrainingConfig
from probefusion.training.early_stopping import EarlyStopping
from probefusion.training.variant_store import VariantStore

__all__ = ["load_checkpoint", "run_identity", "save_checkpoint"]

_ADDED_LATER = {"correction_share": 1.0}
"""Network settings that older checkpoints do not know, with the value that every network then had."""

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")

_HASH_KEY = "sha256"
_METADATA = {"kind", "step", "run", "best_loss", "best_step", "waited", _HASH_KEY}
_STEP = "Remove it: the training then begins anew, with what was embedded before."


def run_identity(
    config: TrainingConfig, store: VariantStore, started_from: dict[str, str] | None = None
) -> str:
    """Text that two runs share exactly if one may go on from the other's checkpoint.

    A network setting that was added later counts by the value it has, given or by default; one that has the
    value of old stays out, so that checkpoints from before fit the runs that they come from and no others.

    Args:
        config: Settings of the run.
        store: Its variant store.
        started_from: The fuser it went on from, or None.
    """
    facts = {key: value for key, value in store.facts.items() if key != "format_version"}
    identity: dict[str, Any] = {"config": _config_facts(config), "store": facts}
    if started_from is not None:
        identity["started_from"] = started_from
    content = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _config_facts(config: TrainingConfig) -> dict[str, Any]:
    settings = dict(config.network)
    if config.architecture in ARCHITECTURES:
        defaults = {e.name: e.default for e in fields(ARCHITECTURES[config.architecture].config)}
        for name in _ADDED_LATER.keys() & defaults.keys():
            value = settings.pop(name, defaults[name])
            if value != _ADDED_LATER[name]:
                settings[name] = float(value)
    return {**asdict(config), "network": settings}


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.AdamW,
    run: str,
    step: int,
    stopping: EarlyStopping | None = None,
) -> None:
    """Writes parameters, buffers and optimiser moments; replaces the last checkpoint.

    Args:
        path: The file.
        network: The network.
        optimizer: Its AdamW, built from `network.parameters()`.
        run: `run_identity` of the run.
        step: Steps done.
        stopping: The best network so far.
    """
    tensors: dict[str, Tensor] = {
        f"network.{name}": value.detach().cpu().contiguous().clone()
        for name, value in network.state_dict().items()
    }
    for name, parameter in network.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{moment}.{name}"] = value.detach().cpu().contiguous().clone()
    metadata = {"kind": "checkpoint", "step": str(step), "run": run}
    if stopping is not None:
        best, facts = stopping.state()
        tensors |= best
        metadata |= facts
    metadata[_HASH_KEY] = _hash_of(tensors, metadata)
    with replace_file(path, force=True) as stream:
        stream.write(save(tensors, metadata=metadata))


def load_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.AdamW,
    run: str,
    stopping: EarlyStopping | None = None,
) -> int:
    """Puts a checkpoint into network, optimiser and early stopping.

    Checkpoints of older releases carry no hash and are read unchecked.

    Returns:
        Steps done.

    Raises:
        FileFormatError: If the file is no checkpoint, or lacks a part.
        IntegrityError: If its content is not what was written.
        MismatchError: If it belongs to another run.
    """
    tensors, metadata = _read(path)
    if metadata["run"] != run:
        raise MismatchError(
            f"{in_one_line(path)}: this checkpoint belongs to a run with other settings or data. "
            f"Use the same settings, or remove it to start anew."
        )
    with reading(path, "a checkpoint of this network", step=_STEP):
        return _put(tensors, metadata, network, optimizer, stopping)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with (
        reading(path, "a checkpoint", step=_STEP, also=(SafetensorError,)),
        safe_open(path, framework="pt") as file,
    ):
        metadata: dict[str, str] = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    found = metadata.get(_HASH_KEY)
    rest = {key: value for key, value in metadata.items() if key != _HASH_KEY}
    if found is not None and found != _hash_of(tensors, rest):
        raise IntegrityError(
            f"{in_one_line(path)}: its content is not what was written (another SHA-256). It was changed or damaged. "
            f"{_STEP}"
        )
    if metadata.get("kind") != "checkpoint" or not metadata.keys() >= {"run", "step"}:
        raise FileFormatError(
            f"{in_one_line(path)}: expected a training checkpoint, got another file."
        )
    unknown = sorted(metadata.keys() - _METADATA)
    if unknown:
        raise FileFormatError(f"{in_one_line(path)}: holds the unknown key {unknown[0]!r}. {_STEP}")
    return tensors, metadata


def _hash_of(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    return content_hash({**metadata, **{name: value.numpy() for name, value in tensors.items()}})


def _put(
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    network: nn.Module,
    optimizer: torch.optim.AdamW,
    stopping: EarlyStopping | None,
) -> int:
    prefix = "network."
    network.load_state_dict(
        {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    )
    for name, parameter in network.named_parameters():
        state = {
            moment: tensors[f"optimizer.{moment}.{name}"]
            for moment in _MOMENTS
            if f"optimizer.{moment}.{name}" in tensors
        }
        optimizer.state[parameter] = {
            moment: value if moment == "step" else value.to(parameter.device)
            for moment, value in state.items()
        }
    if stopping is not None:
        stopping.load(tensors, metadata)
    return int(metadata["step"])
