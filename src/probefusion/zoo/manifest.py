"""The models that probefusion knows by name: those of the package and those of the user."""

from __future__ import annotations

import functools
import importlib.resources
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

import msgspec
import platformdirs

from probefusion.errors import ConfigError, FileFormatError, OutputExistsError, UnknownNameError
from probefusion.files import home_path, replace_file
from probefusion.files.hashed_json import HASH_KEY, hashed_json
from probefusion.files.reading import in_one_line
from probefusion.files.records import decode_record, read_record, record_of
from probefusion.zoo.bundled import bundled_entries

__all__ = [
    "Accuracy",
    "FolderFile",
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

FORMAT_VERSION = 4
"""Format 4 added the hash `content_sha256`; manifests without one are read unchecked."""

_LAYOUT = (
    f'It holds {{"format_version": {FORMAT_VERSION}, "models": {{NAME: {{...}}}}}}. Where it was changed by hand, '
    f"take the key {HASH_KEY} out: it is made anew with the next entry."
)
KINDS = ("embedder", "detector", "fuser", "pack")
FORMATS = ("onnx", "checkpoint", "zip", "folder")
_SHA256 = r"[0-9a-f]{64}"


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
class FolderFile:
    """One file of a model that is a folder.

    Args:
        name: Its name, without folders.
        sha256: Its SHA-256.
        size: Its bytes.

    Raises:
        ConfigError: If the name has folders, or the hash is none.
    """

    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", self.name):
            raise ConfigError(f"name: expected a file name without folders, got {self.name!r}.")
        if not re.fullmatch(_SHA256, self.sha256):
            raise ConfigError(
                f"sha256 of {self.name}: expected 64 lower-case hexadecimal digits, "
                f"got {self.sha256!r}."
            )


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
        file: Name of the file or folder in the models folder, or the absolute path of a user's own
            file or of one inside the package.
        format: `"onnx"`, `"checkpoint"` (to be converted before it can be used), `"zip"`, or
            `"folder"` for a fuser folder.
        sha256: SHA-256 of the file, or None where nobody published one: it is then recorded when
            the file is first used, and compared from then on. None for a folder.
        size: Bytes of the file, or None when unknown; for a folder the sum.
        licence: Licence of the weights, apart from that of the code.
        non_commercial: Whether that licence excludes commercial use.
        origin: Where the file comes from, in words.
        urls: Where it can be downloaded, tried in this order; for a folder the addresses of folders.
        files: The files of a folder, the card last; () for all else.
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
    files: tuple[FolderFile, ...] = ()
    page: str | None = None
    huggingface: HuggingFaceFile | None = None
    packs: tuple[PackMember, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.name):
            raise ConfigError(
                f"name: expected letters, digits, '.', '_' or '-', got {self.name!r}."
            )
        for label, value, allowed in (("kind", self.kind, KINDS), ("format", self.format, FORMATS)):
            if value not in allowed:
                raise ConfigError(
                    f"{label} of {self.name}: expected one of {', '.join(allowed)}, got {value!r}."
                )
        if not Path(self.file).is_absolute() and (
            not self.file or Path(self.file).name != self.file
        ):
            raise ConfigError(
                f"file of {self.name}: expected a name without folders, or an absolute path, "
                f"got {self.file!r}."
            )
        if bool(self.files) != (self.format == "folder"):
            raise ConfigError(
                f"files of {self.name}: expected the files of a folder, and none for all else, "
                f"got {len(self.files)} for the format {self.format!r}."
            )
        if self.files:
            object.__setattr__(self, "size", sum(file.size for file in self.files))
        if self.sha256 is not None and not re.fullmatch(_SHA256, self.sha256):
            raise ConfigError(
                f"sha256 of {self.name}: expected 64 lower-case hexadecimal digits or null, "
                f"got {self.sha256!r}."
            )
        if self.size is not None and self.size < 1:
            raise ConfigError(
                f"size of {self.name}: expected a number of bytes, got {self.size!r}."
            )
        for url in self.urls:
            if not url.startswith(("https://", "http://")):
                raise ConfigError(f"urls of {self.name}: expected https://..., got {url!r}.")

    @property
    def dim(self) -> int | None:
        """D of an embedder or fuser, or None when unknown."""
        return self.settings.get("dim")


class _Manifest(TypedDict):
    format_version: int
    models: dict[str, dict[str, Any]]


def models_folder() -> Path:
    """The folder in which models are kept.

    `models` in the folder that the environment variable PROBEFUSION_HOME names, by default in
    `~/.cache/probefusion` where that is, otherwise in the system's folder for caches, which on Linux is
    the same unless XDG_CACHE_HOME names another. It need not exist.
    """
    home = os.environ.get("PROBEFUSION_HOME", "")
    if home:
        return home_path(home) / "models"
    usual = home_path("~/.cache/probefusion/models")  # on every system, in older releases
    if usual.is_dir():
        return usual
    try:
        caches = platformdirs.user_cache_path("probefusion", appauthor=False)
    except RuntimeError:  # newer releases; older ones give a "~"
        caches = Path("~/.cache/probefusion")
    return home_path(caches) / "models"


def user_manifest_path() -> Path:
    """The file that holds the user's own entries, in the models folder."""
    return models_folder() / "manifest.json"


@functools.cache
def _built_in() -> Mapping[str, KnownModel]:
    source = importlib.resources.files("probefusion.zoo").joinpath("manifest.json")
    listed = _entries(
        decode_record(
            source.read_bytes(),
            _Manifest,
            where="the package's manifest",
            newest=FORMAT_VERSION,
            hashed_from=FORMAT_VERSION,
            step="Install probefusion again.",
        ),
        where="the package's manifest",
    )
    inside = {
        name: _entry(name, given, where="the package's weights")
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
        manifest = read_record(path, _Manifest, newest=FORMAT_VERSION, step=_LAYOUT)
    except FileNotFoundError:
        return {}
    entries = _entries(manifest, where=str(path))
    for name in entries:
        if name in _built_in():
            raise FileFormatError(
                f"{in_one_line(path)}: the name {name!r} belongs to a model of the package. Rename the entry."
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
    models = {name: _plain(entry) for name, entry in entries.items()}
    content = {"format_version": FORMAT_VERSION, "models": models}
    with replace_file(path, force=True) as stream:
        stream.write(hashed_json(content, indent=2))
    return path


def _plain(entry: KnownModel) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(entry, enc_hook=dict)
    del plain["name"]
    if not entry.files:
        plain.pop("files", None)  # a key that older releases do not know, absent if read without it
    return plain


def _entries(manifest: _Manifest, *, where: str) -> Mapping[str, KnownModel]:
    return MappingProxyType(
        {name: _entry(name, given, where=where) for name, given in manifest["models"].items()}
    )


def _entry(name: str, given: Mapping[str, Any], *, where: str) -> KnownModel:
    return record_of({"name": name, **given}, KnownModel, where=f"{where}: model {name!r}")
