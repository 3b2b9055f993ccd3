"""Reading checkpoints that others wrote: parameters and settings, and no code.

A pickle can run any program when it is read. Here it is read by PyTorch's restricted reader
(`weights_only`), which builds tensors and plain values only. The few class names that training
frameworks leave in their files (settings, records of callbacks) are replaced by inert stand-ins;
a file that asks for anything else is refused.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files import check_existing
from probefusion.files.reading import in_one_line

__all__ = ["ForeignCheckpoint", "read_foreign_checkpoint"]

_HARMLESS = re.compile(
    r"(pytorch_lightning|lightning|lightning_fabric|omegaconf)\.[\w.]+"
    r"|argparse\.Namespace|pathlib\.\w*Path|typing\.Any"
    r"|numpy(\.core|\._core)?\.(multiarray\.scalar|dtype|dtypes\.\w+)|numpy\.dtype\[\w+\]"
)
"""Names for which a stand-in is taken; nothing of these packages is imported or run."""

_NO_PICKLE = "Unsupported operand"
"""How the reader complains of bytes that mean nothing to it, rather than of what they ask for."""

_STATE_KEYS = ("state_dict", "state_dict_backbone", "backbone_state_dict", "model_state_dict")


@dataclass(frozen=True, kw_only=True, eq=False)
class ForeignCheckpoint:
    """What a checkpoint holds.

    Args:
        state: Every tensor of the networks by its key.
        settings: Hyper-parameters by name; empty where the file has none.
        ignored: Names of the other entries (optimizer, callbacks, ...).
    """

    state: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


class _Inert:
    """Stands for an object of a class that is not loaded: takes anything, does nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> _Inert:
        del arguments, named
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        del arguments, named


def read_foreign_checkpoint(path: str | Path, *, extra: tuple[str, ...] = ()) -> ForeignCheckpoint:
    """Reads the tensors and hyper-parameters of a `.ckpt`, `.pth`, `.pt` or `.safetensors` file.

    Args:
        path: A Lightning checkpoint, a state dict, a dict that holds one, or safetensors.
        extra: Names of entries that may stand beside the tensors of a plain state dict.

    Raises:
        MissingFileError: If there is no such file.
        IntegrityError: If the file asks for code to be run or for classes that are not plain data.
        FileFormatError: If it is none of these or is damaged.
    """
    path = check_existing(path, name="checkpoint")
    if path.is_dir():
        raise FileFormatError(f"checkpoint {str(path)!r}: expected a file, got a folder.")
    if path.suffix.lower() == ".safetensors":
        try:
            return ForeignCheckpoint(state=load_file(path), settings={})
        except SafetensorError as error:
            raise FileFormatError(
                f"{in_one_line(path)}: expected a safetensors file ({error})."
            ) from error
    return _interpret(_load(path), path, extra)


def _load(path: Path) -> Any:
    stand_ins: list[Any] = [(_stand_in(name), name) for name in _stand_in_names(path)]
    try:
        with torch.serialization.safe_globals(stand_ins), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _shortened(str(error))
        if reason.startswith(_NO_PICKLE):
            raise FileFormatError(
                f"{in_one_line(path)}: expected a PyTorch checkpoint, got a file that torch.save did not write "
                f"({reason})."
            ) from error
        raise IntegrityError(_refusal(path, reason)) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError,
            IndexError, OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:  # fmt: skip
        raise FileFormatError(
            f"{in_one_line(path)}: expected a PyTorch checkpoint, could not read it ({error}). Fetch it again."
        ) from error


def _stand_in(name: str) -> type:
    """What is put in place of a class: for settings that are a dictionary, a plain one."""
    return OrderedDict if name.endswith(".AttributeDict") else type("Inert", (_Inert,), {})


def _shortened(message: str) -> str:
    """The sentence of PyTorch's long message that says what it stumbled over."""
    detail = message.partition("trusted source.")[2] or message
    detail = detail.partition("WeightsUnpickler error:")[2] or detail
    return " ".join(detail.partition("Check the documentation")[0].split()).rstrip(".")[:300]


def _stand_in_names(path: Path) -> list[str]:
    """The names in the file that are neither PyTorch's own nor refused."""
    if not zipfile.is_zipfile(path):
        return []  # the format before PyTorch 1.6; only plain contents are read from it
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError, IndexError,
            KeyError, UnicodeDecodeError):  # fmt: skip
        return []  # damaged; reading it tells how
    refused = [name for name in names if not _HARMLESS.fullmatch(name)]
    if refused:
        raise IntegrityError(_refusal(path, f"it asks for {', '.join(sorted(refused)[:5])}"))
    return list(names)


def _refusal(path: Path, reason: str) -> str:
    return (
        f"{in_one_line(path)}: refused, nothing of it was run: {reason}. A checkpoint holds tensors and plain "
        f"values; this one holds more, as malicious files do. If you trust its origin, load it there "
        f"with the program that wrote it and save only its state_dict."
    )


def _interpret(content: Any, path: Path, extra: tuple[str, ...]) -> ForeignCheckpoint:
    if not isinstance(content, Mapping):
        raise FileFormatError(
            f"{in_one_line(path)}: expected a state dict or a checkpoint with one, got {type(content).__name__}."
        )
    key = next((key for key in _STATE_KEYS if isinstance(content.get(key), Mapping)), None)
    state = content if key is None else content[key]
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    others = [str(name) for name in state if name not in tensors and name not in extra]
    if key is None and others:
        raise FileFormatError(
            f"{in_one_line(path)}: expected one of the entries {', '.join(_STATE_KEYS)}, or tensors only, got "
            f"{', '.join(map(str, list(content)[:8]))}."
        )
    if not tensors or others:
        raise FileFormatError(
            f"{in_one_line(path)}: expected tensors by name, got {', '.join(others[:5]) or 'nothing'}."
        )
    settings = content.get("hyper_parameters", {}) if key is not None else {}
    if not isinstance(settings, Mapping) or (not settings and _attributes(settings)):
        settings = _attributes(settings)
    ignored = [str(name) for name in content if name not in (key, "hyper_parameters")]
    return ForeignCheckpoint(
        state=tensors, settings=dict(settings), ignored=() if key is None else tuple(ignored)
    )


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of a stand-in (settings that were an `argparse.Namespace`)."""
    return dict(getattr(value, "__dict__", {}))
