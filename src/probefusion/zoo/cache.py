"""Where model files lie: the models folder, and the caches of InsightFace and Hugging Face."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingFileError,
    UnknownNameError,
)
from probefusion.files import check_existing, home_path, lfs_oid, replace_file, sha256_of
from probefusion.files.hashed_json import HASH_KEY, hashed_json
from probefusion.files.paths import as_path
from probefusion.files.records import read_record
from probefusion.types.revisions import FORMER
from probefusion.zoo.bundled import is_bundled
from probefusion.zoo.fuser_folders import find_wrong_file, folder_sha256, fuser_roots
from probefusion.zoo.manifest import KnownModel, find_by_sha256, known_models, models_folder

__all__ = [
    "CONVERTED_NAME",
    "FoundFile",
    "expected_sha256",
    "find_entry",
    "find_file",
    "locate",
    "pin",
    "places_of",
    "search_file",
]

CONVERTED_NAME = "embedder.onnx"
"""Name of the network in the folder that a checkpoint was converted into."""

REINSTALL = "pip install --force-reinstall --no-deps probefusion"
"""How to get back a file of the package."""

_PINS = "pins.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A known model's file on this machine.

    Args:
        path: Where it is.
        place: Whose cache that is: `"probefusion"`, `"insightface"`, `"huggingface"`, `"own"`, or
            `"package"` for a part of this package.
    """

    path: Path
    place: str


def find_entry(name: str, *, kind: str | None = None) -> KnownModel:
    """The manifest's entry of a name; for a pack, that of its part of the wanted kind.

    Args:
        name: A name of the manifest.
        kind: What it must be: `"embedder"`, `"detector"`, ...; None takes anything as it is.

    Raises:
        UnknownNameError: If the manifest has no such name.
        ConfigError: If it is of another kind.
    """
    models = known_models()
    if name not in models:
        of_kind = [key for key in models if kind in (None, models[key].kind)]
        step = f"It is the fingerprint of {FORMER[name]}: give that name." if name in FORMER else ""
        raise UnknownNameError(kind or "model", name, () if step else of_kind, step=step)
    entry = models[name]
    if entry.kind == "pack" and kind not in (None, "pack"):
        for part in models.values():
            if part.kind == kind and any(member.pack == name for member in part.packs):
                return part
    if kind is not None and entry.kind != kind:
        raise ConfigError(f"model {name!r}: expected {kind}, got {entry.kind}.")
    return entry


def places_of(entry: KnownModel) -> Iterator[FoundFile]:
    """Every place in which a model's file may lie, in the order in which they are looked at.

    - the models folder, or the absolute path of a user's own file or of one of the package;
    - for a fuser folder every root that `fuser_roots` gives;
    - `models` in the folder INSIGHTFACE_HOME or `~/.insightface`, for parts of its packs;
    - the cache of Hugging Face: HF_HUB_CACHE, `hub` in HF_HOME, or `~/.cache/huggingface/hub`.
    """
    if entry.files and not Path(entry.file).is_absolute():
        for place, root in fuser_roots():
            yield FoundFile(path=root / entry.file, place=place)
        return
    place = "own" if Path(entry.file).is_absolute() else "probefusion"
    place = "package" if is_bundled(entry.file) else place
    yield FoundFile(path=models_folder() / entry.file, place=place)
    root = home_path(os.environ.get("INSIGHTFACE_HOME") or "~/.insightface") / "models"
    for part in entry.packs:
        for folder in (root / part.pack, root / part.pack / part.pack):
            yield FoundFile(path=folder / part.member, place="insightface")
    if entry.kind == "pack":
        yield FoundFile(path=root / entry.file, place="insightface")
    if entry.huggingface is not None:
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface")
        hub = home_path(os.environ.get("HF_HUB_CACHE") or home / "hub")
        repository = "models--" + entry.huggingface.repository.replace("/", "--")
        snapshots = hub / repository / "snapshots"
        for snapshot in sorted(snapshots.glob("*")):
            yield FoundFile(path=snapshot / entry.huggingface.path, place="huggingface")


def search_file(entry: KnownModel) -> FoundFile | None:
    """The first place in which a model's file or folder lies, or None. No hash is checked here."""
    return next((found for found in places_of(entry) if _is_there(entry, found.path)), None)


def _is_there(entry: KnownModel, path: Path) -> bool:
    files = [path / file.name for file in entry.files] or [path]
    try:
        return all(file.is_file() and os.access(file, os.R_OK) for file in files)
    except OSError as error:  # a folder above may not be entered
        _log.warning("%s: could not be looked at (%s); passed over", path, error.strerror)
        return False


def find_file(name: str, *, kind: str) -> tuple[Path, KnownModel]:
    """The file of a known model, wherever it lies.

    Args:
        name: A name of the manifest.
        kind: What it must be: `"embedder"`, `"detector"`, `"fuser"`.

    Returns:
        The path and the entry. The file's hash is not checked here. For a checkpoint that was
        converted, the path is that of the network it became.

    Raises:
        UnknownNameError: If the manifest has no such name.
        ConfigError: If it is of another kind.
        MissingFileError: If the file is not there, or is not converted; says what to do.
    """
    entry = find_entry(name, kind=kind)
    if entry.format == "checkpoint":
        converted = models_folder() / entry.name / CONVERTED_NAME
        if converted.is_file():
            return converted, entry
        found = search_file(entry)
        step = (
            f"Get it with: probefusion models pull {entry.name}; then convert it"
            if found is None
            else "Convert it"
        )
        raise MissingFileError(
            f"model {name!r} is a checkpoint, which is not converted yet. {step} with: "
            f"probefusion models convert {entry.name}"
        )
    found = search_file(entry)
    if found is None and is_bundled(entry.file):
        raise MissingFileError(
            f"model {name!r} is a part of the package, expected at {entry.file!r}. "
            f"Install it again: {REINSTALL}"
        )
    if found is None:
        raise MissingFileError(
            f"model {name!r} is not in {str(models_folder())!r} (set PROBEFUSION_HOME for another "
            f"place). Get {entry.origin} (licence: {entry.licence}{_hash_in_words(entry)}) "
            f"with: probefusion models pull {entry.name}; or put it "
            f"there as {entry.file!r}, or give the path of the file."
        )
    return found.path, entry


def _hash_in_words(entry: KnownModel) -> str:
    return "" if entry.files else f"; SHA-256 {entry.sha256 or 'unknown'}"


def locate(model: str | Path, *, kind: str) -> tuple[Path, str]:
    """The file that a name or a path stands for, and its SHA-256; for a fuser folder that of its card.

    A `Path`, a text that ends in `.onnx`, and the path of an existing file are paths; any other
    text is a name of the manifest. The name of a pack stands for its part of the wanted kind.

    Args:
        model: Path or name.
        kind: What it must be: `"embedder"`, `"detector"` or `"fuser"`. Checked for names only.

    Raises:
        DtypeError: If it is neither a text nor a path.
        UnknownNameError, ConfigError, MissingFileError: As for `find_file`.
        MissingFileError: If the path does not exist.
        FileFormatError: If the path is a folder, or a Git LFS pointer.
        IntegrityError: If a known name's file has another hash.
    """
    if not isinstance(model, str):
        model = as_path(model, kind, expected="a name, or the path of a file")
    if isinstance(model, Path) or model.endswith(".onnx") or Path(model).is_file():
        path = home_path(model)
        _refuse_pointer_of_known(path)
        check_existing(path, name="model")
        if path.is_dir():
            raise FileFormatError(f"model {str(path)!r}: expected an .onnx file, got a folder.")
        return path, sha256_of(path)
    path, entry = find_file(model, kind=kind)
    if entry.files:
        wrong = find_wrong_file(entry, path)
        if wrong is not None:
            raise _wrong_hash(entry, *wrong)
        return path, folder_sha256(path)
    sha256 = sha256_of(path)
    if entry.format == "checkpoint":
        return path, sha256  # the network made of it; the description beside it holds its hash
    expected = expected_sha256(entry)
    if expected is None:
        pin(entry, sha256)
    elif sha256 != expected:
        raise _wrong_hash(entry, path, expected, sha256)
    return path, sha256


def _refuse_pointer_of_known(path: Path) -> None:
    """Says of a Git LFS pointer to a known model's file how to get that."""
    oid = lfs_oid(path)
    entry = None if oid is None else find_by_sha256(oid)
    if entry is not None:
        raise FileFormatError(
            f"model {str(path)!r}: a Git LFS pointer to the file of {entry.name}, not the file itself. Get it "
            f"with: probefusion models pull {entry.name}; then give {entry.name}"
        )


def _wrong_hash(entry: KnownModel, path: Path, expected: str, found: str | None) -> IntegrityError:
    step = (
        f"install the package again: {REINSTALL}"
        if is_bundled(entry.file)
        else f"fetch it again: probefusion models pull {entry.name}, or give the path of the file that you mean"
    )
    return IntegrityError(
        f"model {str(path)!r}: expected SHA-256 {expected}, got {found or 'no file'}. The file is "
        f"damaged or another one; {step}"
    )


def expected_sha256(entry: KnownModel) -> str | None:
    """The hash a model's file must have: the manifest's, else the one recorded at its first use."""
    return entry.sha256 or _read_pins().get(entry.name)


def pin(entry: KnownModel, sha256: str) -> None:
    """Records the hash of a file whose hash nobody published, to be compared from now on.

    Raises:
        IntegrityError: If another one was recorded before.
    """
    pins = _read_pins()
    before = pins.get(entry.name)
    if before == sha256:
        return
    if before is not None:
        raise IntegrityError(
            f"model {entry.name!r}: SHA-256 was {before} when it was first used, is now {sha256}. "
            f"If the new file is meant, remove its entry and {HASH_KEY} from {str(models_folder() / _PINS)!r}."
        )
    models_folder().mkdir(parents=True, exist_ok=True)
    with replace_file(models_folder() / _PINS, force=True) as stream:
        stream.write(hashed_json({**pins, entry.name: sha256}, indent=2))


def _read_pins() -> dict[str, str]:
    path = models_folder() / _PINS
    try:
        return read_record(path, dict[str, str], step="Remove it: hashes are then recorded anew.")
    except FileNotFoundError:
        return {}
