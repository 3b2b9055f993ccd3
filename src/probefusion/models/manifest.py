"""The models that probefusion knows by name: file, SHA-256, licence, origin, preprocessing."""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from probefusion.checks import check_existing
from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    UnknownNameError,
)
from probefusion.files import sha256_of

__all__ = ["KnownModel", "find_by_sha256", "find_file", "known_models", "locate", "models_folder"]


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """One entry of the manifest.

    Args:
        name: Its name.
        kind: `"embedder"` or `"detector"`.
        file: File name in the models folder.
        sha256: SHA-256 of the file.
        size: Bytes of the file.
        licence: Licence of the weights, apart from that of the code.
        origin: Where the file comes from.
        settings: What is to be set to use it; for an embedder the fields of `EmbedderSpec`.
    """

    name: str
    kind: str
    file: str
    sha256: str
    size: int
    licence: str
    origin: str
    settings: Mapping[str, Any]


@functools.cache
def known_models() -> Mapping[str, KnownModel]:
    """All models of the manifest by name."""
    source = importlib.resources.files("probefusion.models").joinpath("manifest.json")
    entries = json.loads(source.read_text(encoding="utf-8"))["models"]
    return MappingProxyType(
        {
            name: KnownModel(
                name=name, **{**entry, "settings": MappingProxyType(entry["settings"])}
            )
            for name, entry in entries.items()
        }
    )


def find_by_sha256(sha256: str) -> KnownModel | None:
    """The manifest's entry of a file with this hash, or None."""
    return next((entry for entry in known_models().values() if entry.sha256 == sha256), None)


def models_folder() -> Path:
    """The folder in which models are looked for by name.

    `models` in the folder that the environment variable PROBEFUSION_HOME names, by default
    `~/.cache/probefusion`. It need not exist.
    """
    home = os.environ.get("PROBEFUSION_HOME", "")
    return (Path(home) if home else Path("~/.cache/probefusion")).expanduser() / "models"


def find_file(name: str, *, kind: str) -> tuple[Path, KnownModel]:
    """The file of a known model in the models folder.

    Args:
        name: A name of the manifest.
        kind: What it must be: `"embedder"` or `"detector"`.

    Returns:
        The path and the entry. The file's hash is not checked here.

    Raises:
        UnknownNameError: If the manifest has no such name.
        ConfigError: If it is of another kind.
        MissingFileError: If the file is not there; says where to get it.
    """
    models = known_models()
    if name not in models:
        raise UnknownNameError(kind, name, [key for key in models if models[key].kind == kind])
    entry = models[name]
    if entry.kind != kind:
        raise ConfigError(f"model {name!r}: expected {kind}, got {entry.kind}.")
    path = models_folder() / entry.file
    if not path.is_file():
        raise MissingFileError(
            f"model {name!r} is not in {str(models_folder())!r} (set PROBEFUSION_HOME for another "
            f"place). Get {entry.origin} (licence: {entry.licence}; SHA-256 {entry.sha256}), put "
            f"it there as {entry.file!r}, or give the path of the file."
        )
    return path, entry


def locate(model: str | Path, *, kind: str) -> tuple[Path, str]:
    """The file that a name or a path stands for, and its SHA-256.

    A `Path`, a text that ends in `.onnx`, and the path of an existing file are paths; any other
    text is a name of the manifest.

    Args:
        model: Path or name.
        kind: What it must be: `"embedder"` or `"detector"`. Checked for names only.

    Raises:
        UnknownNameError, ConfigError, MissingFileError: As for `find_file`.
        MissingFileError: If the path does not exist.
        FileFormatError: If the path is a folder.
        IntegrityError: If a known name's file has another hash.
    """
    if isinstance(model, Path) or model.endswith(".onnx") or Path(model).is_file():
        path = check_existing(Path(model).expanduser(), name="model")
        if path.is_dir():
            raise FileFormatError(f"model {str(path)!r}: expected an .onnx file, got a folder.")
        return path, sha256_of(path)
    path, entry = find_file(model, kind=kind)
    sha256 = sha256_of(path)
    if sha256 != entry.sha256:
        raise IntegrityError(
            f"model {str(path)!r}: expected SHA-256 {entry.sha256}, got {sha256}. The file is "
            f"damaged or another one; fetch it again."
        )
    return path, sha256
