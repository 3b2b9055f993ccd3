"""The models that probefusion knows by name: those of the package and those of the user."""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from probefusion.errors import ConfigError, FileFormatError, OutputExistsError, UnknownNameError
from probefusion.files import replace_file
from probefusion.zoo.bundled import bundled_entries

__all__ = [
    "Accuracy",
    "HuggingFaceFile",
    "KnownModel",
    "PackMember",
    "find_by_sha256",
    "forget_model",
    "known_models",
    "models_folder",
    "remember_model",
    "user_manifest_path",
]

FORMAT_VERSION = 2
KINDS = ("embedder", "detector", "fuser", "pack")
FORMATS = ("onnx", "checkpoint", "zip")


@dataclass(frozen=True, kw_only=True)
class PackMember:
    """Where a model lies in a pack.

    Args:
        pack: Name of the pack in the manifest.
        member: Name of the file in the pack's archive, without folders.
    """

    pack: str
    member: str


@dataclass(frozen=True, kw_only=True)
class HuggingFaceFile:
    """A file of a repository on Hugging Face, by which its cache is searched.

    Args:
        repository: `owner/name`.
        path: Path inside the repository.
    """

    repository: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A figure that others published.

    Args:
        benchmark: What was measured.
        value: The rate, as a fraction.
        source: Who says so.
    """

    benchmark: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """One entry of the manifest.

    Args:
        name: Its name.
        kind: `"embedder"`, `"detector"`, `"fuser"`, or `"pack"` for an archive of several.
        file: File name in the models folder, or the absolute path of a user's own file or of one
            inside the package.
        format: `"onnx"`, `"checkpoint"` (to be converted before it can be used) or `"zip"`.
        sha256: SHA-256 of the file, or None where nobody published one: it is then recorded when
            the file is first used, and compared from then on.
        size: Bytes of the file, or None when unknown.
        licence: Licence of the weights, apart from that of the code.
        non_commercial: Whether that licence excludes commercial use.
        origin: Where the file comes from, in words.
        urls: Where it can be downloaded, tried in this order.
        page: A page from which a browser gets it, where no direct address is known.
        huggingface: Its place on Hugging Face, or None.
        packs: Packs that hold it, tried after the addresses.
        accuracy: Published figures.
        settings: What is to be set to use it; for an embedder the fields of `EmbedderSpec`.

    Raises:
        ConfigError: If a value is not of its kind.
    """

    name: str
    kind: str
    file: str
    format: str = "onnx"
    sha256: str | None = None
    size: int | None = None
    licence: str = "unknown"
    non_commercial: bool = False
    origin: str = ""
    urls: tuple[str, ...] = ()
    page: str | None = None
    huggingface: HuggingFaceFile | None = None
    packs: tuple[PackMember, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", self.name):
            raise ConfigError(
                f"name: expected letters, digits, '.', '_' or '-', got {self.name!r}."
            )
        for label, value, allowed in (("kind", self.kind, KINDS), ("format", self.format, FORMATS)):
            if value not in allowed:
                raise ConfigError(
                    f"{label} of {self.name}: expected one of {', '.join(allowed)}, got {value!r}."
                )
        if not isinstance(self.file, str) or not self.file:
            raise ConfigError(f"file of {self.name}: expected a file name, got {self.file!r}.")
        if not Path(self.file).is_absolute() and Path(self.file).name != self.file:
            raise ConfigError(
                f"file of {self.name}: expected a name without folders, or an absolute path, "
                f"got {self.file!r}."
            )
        is_hash = isinstance(self.sha256, str) and re.fullmatch(r"[0-9a-f]{64}", self.sha256)
        if self.sha256 is not None and not is_hash:
            raise ConfigError(
                f"sha256 of {self.name}: expected 64 lower-case hexadecimal digits or null, "
                f"got {self.sha256!r}."
            )
        if self.size is not None and (type(self.size) is not int or self.size < 1):
            raise ConfigError(
                f"size of {self.name}: expected a number of bytes, got {self.size!r}."
            )
        for url in self.urls:
            if not isinstance(url, str) or not url.startswith(("https://", "http://")):
                raise ConfigError(f"urls of {self.name}: expected https://..., got {url!r}.")

    @property
    def dim(self) -> int | None:
        """D of an embedder, or None when unknown."""
        return self.settings.get("dim")


def models_folder() -> Path:
    """The folder in which models are kept.

    `models` in the folder that the environment variable PROBEFUSION_HOME names, by default
    `~/.cache/probefusion`. It need not exist.
    """
    home = os.environ.get("PROBEFUSION_HOME", "")
    return (Path(home) if home else Path("~/.cache/probefusion")).expanduser() / "models"


def user_manifest_path() -> Path:
    """The file that holds the user's own entries, in the models folder."""
    return models_folder() / "manifest.json"


@functools.cache
def _built_in() -> Mapping[str, KnownModel]:
    source = importlib.resources.files("probefusion.zoo").joinpath("manifest.json")
    listed = _parse(source.read_text(encoding="utf-8"), where="the package's manifest")
    inside = {
        name: _entry(name, given, "the package's weights")
        for name, given in bundled_entries().items()
    }
    return MappingProxyType({**inside, **listed})


def known_models() -> Mapping[str, KnownModel]:
    """All models by name: those of the package, then those of the user.

    Raises:
        FileFormatError: If the user's manifest cannot be read.
    """
    return MappingProxyType({**_built_in(), **_of_user()})


def _of_user() -> Mapping[str, KnownModel]:
    path = user_manifest_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{path}: expected a manifest, could not read it ({error})."
        ) from error
    entries = _parse(text, where=str(path))
    for name in entries:
        if name in _built_in():
            raise FileFormatError(
                f"{path}: the name {name!r} belongs to a model of the package. Rename the entry."
            )
    return entries


def find_by_sha256(sha256: str) -> KnownModel | None:
    """The manifest's entry of a file with this hash, or None."""
    return next((entry for entry in known_models().values() if entry.sha256 == sha256), None)


def remember_model(entry: KnownModel, *, force: bool = False) -> Path:
    """Adds an entry to the user's manifest.

    Args:
        entry: The entry; its name must not be one of the package's.
        force: Whether an entry of the user's of this name may be replaced.

    Returns:
        The path of the manifest.

    Raises:
        ConfigError: If the name belongs to a model of the package.
        OutputExistsError: If there is such an entry and `force` is False.
        FileFormatError: If the user's manifest cannot be read.
    """
    if entry.name in _built_in():
        raise ConfigError(
            f"name: {entry.name!r} belongs to a model of the package. Choose another name."
        )
    entries = dict(_of_user())
    if entry.name in entries and not force:
        raise OutputExistsError(
            f"model {entry.name!r} is in {str(user_manifest_path())!r} already. Use --force "
            f"(force=True) to replace it."
        )
    entries[entry.name] = entry
    return _write_user(entries)


def forget_model(name: str) -> Path:
    """Takes an entry out of the user's manifest; its file stays.

    Raises:
        UnknownNameError: If the user's manifest has no such entry.
    """
    entries = dict(_of_user())
    if name not in entries:
        raise UnknownNameError("model of your own", name, entries)
    del entries[name]
    return _write_user(entries)


def _write_user(entries: Mapping[str, KnownModel]) -> Path:
    path = user_manifest_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format_version": FORMAT_VERSION, "models": {}}
    for name, entry in entries.items():
        plain = asdict(
            KnownModel(
                **{**_shallow(entry), "settings": dict(entry.settings)}
            )  # asdict copies deep
        )
        del plain["name"]
        content["models"][name] = plain  # type: ignore[index]
    with replace_file(path, force=True) as stream:
        stream.write((json.dumps(content, indent=2) + "\n").encode())
    return path


def _shallow(entry: KnownModel) -> dict[str, Any]:
    return {item.name: getattr(entry, item.name) for item in fields(entry)}


def _parse(text: str, *, where: str) -> Mapping[str, KnownModel]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise FileFormatError(f"{where}: expected JSON, could not read it ({error}).") from error
    if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
        raise FileFormatError(f'{where}: expected {{"format_version": 2, "models": {{...}}}}.')
    version = content.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FileFormatError(
            f"{where}: format_version: expected at most {FORMAT_VERSION}, got {version!r}. "
            f"Upgrade probefusion."
        )
    entries = {name: _entry(name, given, where) for name, given in content["models"].items()}
    return MappingProxyType(entries)


def _entry(name: str, given: Any, where: str) -> KnownModel:
    if not isinstance(given, dict):
        raise FileFormatError(f"{where}: model {name!r}: expected an object, got {given!r}.")
    known = {item.name for item in fields(KnownModel)} - {"name"}
    for key in given:
        if key not in known:
            raise FileFormatError(f"{where}: model {name!r}: {UnknownNameError('key', key, known)}")
    values = {"settings": {}, **given}
    try:
        values["settings"] = MappingProxyType(dict(values["settings"]))
        values["urls"] = tuple(values.get("urls", ()))
        values["packs"] = tuple(PackMember(**part) for part in values.get("packs", ()))
        values["accuracy"] = tuple(Accuracy(**figure) for figure in values.get("accuracy", ()))
        if values.get("huggingface") is not None:
            values["huggingface"] = HuggingFaceFile(**values["huggingface"])
        return KnownModel(name=name, **values)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{where}: model {name!r}: not a valid entry: {error}") from error
