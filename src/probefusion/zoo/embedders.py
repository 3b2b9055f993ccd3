"""From a name or a path to a ready embedder: manifest, sidecar file, settings."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.embedders.inspection import EmbedderFacts, inspect_embedder
from probefusion.embedders.onnx_graph import read_model
from probefusion.embedders.spec import EmbedderSpec
from probefusion.errors import ConfigError, IntegrityError
from probefusion.files.records import read_record
from probefusion.zoo.bundled import DEFAULT_EMBEDDER, is_bundled
from probefusion.zoo.cache import locate
from probefusion.zoo.manifest import KnownModel, find_by_sha256, known_models, user_manifest_path

if TYPE_CHECKING:
    import onnx

__all__ = ["ARCFACE_PREPROCESSING", "FORM_OF", "form_of", "load_embedder", "resolve_embedder"]

ARCFACE_PREPROCESSING: Mapping[str, Any] = {
    "channel_order": "RGB",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
"""What `preprocessing="arcface"` stands for: RGB, (pixel / 255 - 0.5) / 0.5."""

_KEYS = frozenset(field.name for field in dataclasses.fields(EmbedderSpec)) - {"stands_for"} | {
    "preprocessing"
}
_NEEDED = ("channel_order", "mean", "std")

_SAID_BY_SIDECARS = ("stands_for", "own_fingerprint")
"""What only the description of an 8-bit form may say, as `quantize_embedder` writes it (or the package's card)."""


class Sidecar(TypedDict, total=False):
    """What `MODEL.json` beside `MODEL.onnx` may say: fields of `EmbedderSpec`; null is "not given"."""

    name: str | None
    sha256: str | None
    dim: int | None
    input_size: int | None
    channel_order: str | None
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None
    preprocessing: str | None
    style_taps: list[str] | Literal["auto"] | None
    norm_output: str | None
    norm_is_quality: bool | None
    licence: str | None
    stands_for: str | None
    own_fingerprint: str | None


FORM_OF = "probefusion.form_of"
"""Entry in an ONNX file's metadata: the fingerprint of the embedder whose 8-bit form it is."""


def resolve_embedder(
    model: str | Path, *, settings: Mapping[str, Any] | None = None
) -> tuple[Path, EmbedderSpec]:
    """Finds an embedder's file and everything that must be known to use it.

    What is known comes from the manifest (the file is recognised by its SHA-256, whatever it is
    called), then from a sidecar file `MODEL.json` beside `MODEL.onnx`, then from `settings`; what
    comes later wins. Dimension, input size, style taps and, of a file that the manifest does not know, the
    output with the embedding's length are read from the network where nothing says them.
    Channel order and normalisation cannot be read from it and are never guessed.

    Args:
        model: Path of an `.onnx` file, or a name of the manifest, which is looked for in
            `models_folder()`.
        settings: Fields of `EmbedderSpec` by name. `preprocessing="arcface"` stands for RGB and
            (pixel / 255 - 0.5) / 0.5; `style_taps` may be `"auto"` (the default for a network of
            which no taps are known) or () for none; `norm_output` may be "" for none. None stands for "not given".

    Returns:
        The path and the spec.

    Raises:
        UnknownNameError: If `model` is neither a file nor a known name.
        MissingFileError: If the file is not there.
        IntegrityError: If a known name's file, or the file of a sidecar with `sha256`, has another
            hash.
        FileFormatError: If the file or its sidecar cannot be read.
        ConfigError: If the preprocessing is not known, or a setting is unknown or wrong.
    """
    path, sha256 = locate(model, kind="embedder")
    entry = _known_as(model, sha256)
    if entry is not None and entry.kind != "embedder":
        raise ConfigError(
            f"model {str(path)!r}: expected an embedder, got the {entry.kind} {entry.name!r}."
        )
    merged: dict[str, Any] = {}
    if entry is not None:
        merged = {"name": entry.name, "licence": entry.licence, **entry.settings}
    form = _form_of_entry(entry)
    merged.pop("stands_for", None)
    sidecar = path.with_suffix(".json")
    if sidecar.is_file():
        said = dict(read_record(sidecar, Sidecar))
        form |= {key: said.pop(key) for key in _SAID_BY_SIDECARS if key in said}
        merged |= _expand(said, origin=f" in {sidecar.name}")
    merged |= _expand(settings or {}, origin="")
    stated = merged.pop("sha256", sha256)
    if stated != sha256:
        raise IntegrityError(
            f"model {str(path)!r}: its description says SHA-256 {stated}, got {sha256}. Describe "
            f"the file that is there, or fetch the other one."
        )
    missing = [key for key in _NEEDED if key not in merged]
    if missing:
        raise ConfigError(_how_to_describe(path, sidecar, missing))
    merged.setdefault("name", re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem) or "embedder")
    merged.setdefault("style_taps", "auto")
    search_taps = merged["style_taps"] == "auto"
    is_open = "norm_output" not in merged and entry is None and _has_more_outputs(path)
    if search_taps or is_open or "dim" not in merged or "input_size" not in merged:
        size = merged.get("input_size")
        facts = inspect_embedder(path, input_size=size, search_taps=search_taps)
        _fill_from_network(merged, facts, is_known=entry is not None)
    merged["norm_output"] = merged.get("norm_output") or None
    spec = EmbedderSpec(sha256=sha256, stands_for=form.get("stands_for"), **merged)
    if any(form.values()) and form.get("own_fingerprint") != spec.own_fingerprint:
        raise ConfigError(
            f"model {str(path)!r}: stands for {form.get('stands_for')} only as it was compared, with the file "
            f"and settings that {_described_by(entry, sidecar)} was written for. Leave the settings as they are, or "
            f"quantise the original again with others."
        )
    return path, spec


def load_embedder(
    model: str | Path = DEFAULT_EMBEDDER,
    *,
    settings: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    batch_size: int = 32,
    device: str = "cpu",
) -> OnnxEmbedder:
    """Finds an embedder by name or path and makes it ready to run.

    Args:
        model: As for `resolve_embedder`; by default the embedder inside the package.
        settings: As for `resolve_embedder`.
        num_threads: Threads to use; None for one per core.
        batch_size: Images per run at most.
        device: As for `OnnxEmbedder`.

    Raises:
        ProbeFusionError: As for `resolve_embedder` and `OnnxEmbedder`.
    """
    path, spec = resolve_embedder(model, settings=settings)
    return OnnxEmbedder(path, spec, num_threads=num_threads, batch_size=batch_size, device=device)


def _expand(settings: Mapping[str, Any], *, origin: str) -> dict[str, Any]:
    """Settings with checked names, and with `preprocessing` replaced by what it stands for."""
    for key in settings:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ConfigError(
                f"embedder setting {key!r}{origin} is unknown{hint} Known: {', '.join(sorted(_KEYS))}."
            )
    expanded = {key: value for key, value in settings.items() if value is not None}
    preset = expanded.pop("preprocessing", None)
    if preset is None:
        return expanded
    if preset != "arcface":
        raise ConfigError(
            f"preprocessing{origin}: expected 'arcface', got {preset!r}. Otherwise give "
            f"channel_order, mean and std."
        )
    return {**ARCFACE_PREPROCESSING, **expanded}


def _fill_from_network(merged: dict[str, Any], facts: EmbedderFacts, *, is_known: bool) -> None:
    if merged["style_taps"] == "auto":
        merged["style_taps"] = facts.style_taps
    if facts.norm_output is not None and not is_known:
        merged.setdefault("norm_output", facts.norm_output)
    if "input_size" not in merged:
        merged["input_size"] = facts.input_size or 112
    if "dim" not in merged:
        if len(facts.dims) != 1:
            raise ConfigError(
                f"dim: expected one output that can be the embedding, got the outputs "
                f"{facts.outputs}. Say which with the setting dim."
            )
        merged["dim"] = facts.dims[0]


def _known_as(model: str | Path, sha256: str) -> KnownModel | None:
    """The entry of that name where one was given, as a file may be kept under several; else of that file."""
    named = known_models().get(model) if isinstance(model, str) else None
    if named is not None and named.kind == "embedder" and named.sha256 == sha256:
        return named
    return find_by_sha256(sha256)


def _form_of_entry(entry: KnownModel | None) -> dict[str, Any]:
    """What an embedder inside the package stands for and its own fingerprint, where it is an 8-bit form."""
    if entry is None or "stands_for" not in entry.settings:
        return {}
    if not is_bundled(entry.file):
        raise ConfigError(
            f"model {entry.name!r} of {str(user_manifest_path())!r}: expected no setting 'stands_for', which only the "
            f"description that `probefusion models quantize` writes may say. Give the path of the file instead."
        )
    spec = EmbedderSpec(**{"name": entry.name, "sha256": entry.sha256, **entry.settings})
    return {"stands_for": spec.stands_for, "own_fingerprint": spec.own_fingerprint}


def _described_by(entry: KnownModel | None, sidecar: Path) -> str:
    return sidecar.name if sidecar.is_file() or entry is None else f"the package's {entry.name}"


def _has_more_outputs(path: Path) -> bool:
    return len(read_model(path)[0].graph.output) > 1


def form_of(model: onnx.ModelProto) -> str | None:
    """Fingerprint of the embedder whose 8-bit form a network is, as its file says, or None."""
    return {entry.key: entry.value for entry in model.metadata_props}.get(FORM_OF)


def _how_to_describe(path: Path, sidecar: Path, missing: list[str]) -> str:
    original = form_of(read_model(path)[0])
    if original is not None:
        return (
            f"model {str(path)!r} is an 8-bit form of {original} without the description that was "
            f"written with it. Put that file beside it as {sidecar.name!r}, or quantise the original again."
        )
    return (
        f"model {path.name!r} is not in the manifest, and nothing says its {', '.join(missing)}. "
        f"Either write {str(sidecar)!r} with "
        f'{{"channel_order": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}} '
        f"(input = (pixel / 255 - mean) / std), or pass the same as settings, or, if it is an "
        f"ArcFace-style network that takes RGB and (pixel / 255 - 0.5) / 0.5, say so with "
        f'settings={{"preprocessing": "arcface"}}.'
    )
