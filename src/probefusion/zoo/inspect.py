"""Everything that can be found out about an unknown face network, and keeping it by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, EmbedderFacts, inspect_embedder
from probefusion.embedders.guess import PreprocessingGuess, guess_preprocessing
from probefusion.embedders.network_faults import NetworkCheck, check_network
from probefusion.embedders.onnx_graph import image_input, read_model
from probefusion.embedders.style_taps import map_shapes
from probefusion.errors import ConfigError, EmptySetError
from probefusion.faces import list_images
from probefusion.faces.images import SkippedImage, read_crops
from probefusion.screening.crop_faults import check_crops
from probefusion.zoo.embedders import ARCFACE_PREPROCESSING, form_of
from probefusion.zoo.manifest import KnownModel, find_by_sha256, remember_model

__all__ = ["ModelInspection", "gather_faces", "inspect_model", "save_inspection"]

MAX_FACES = 24
"""Faces that are looked at; more cost time and change nothing."""


@dataclass(frozen=True, kw_only=True)
class ModelInspection:
    """What was found out.

    Args:
        path: The file.
        facts: What the file tells about itself.
        tap_shapes: Shape (C, H, W) of each proposed style tap by its name.
        known: The manifest's entry of this file, or None.
        guess: How it wants to be fed, or None if no faces were given.
        network: What running it showed: whether it runs as in training, or images mix in a batch.
        form_of: Fingerprint of the embedder whose 8-bit form it is, as the file says, or None.
    """

    path: Path
    facts: EmbedderFacts
    tap_shapes: Mapping[str, tuple[int, ...]]
    known: KnownModel | None
    guess: PreprocessingGuess | None
    network: NetworkCheck
    form_of: str | None


def inspect_model(
    path: str | Path,
    *,
    crops: npt.NDArray[np.uint8] | None = None,
    dim: int | None = None,
    norm_output: str | None = None,
    num_threads: int | None = None,
) -> ModelInspection:
    """Inspects an ONNX face network.

    Args:
        path: The `.onnx` file.
        crops: (N, 112, 112, 3) uint8 RGB, aligned faces of different people, to guess how the
            network wants to be fed; None leaves that out.
        dim: D, where the file has several outputs that could be the embedding.
        norm_output: Output with the length of the embedding, where it is known better than what the graph
            shows; "" for none.
        num_threads: Threads to use; None for one per core.

    Raises:
        MissingFileError, FileFormatError, MissingExtraError: As for `inspect_embedder`.
        ConfigError: If there is no output `norm_output`.
        InvalidInputError: As for `guess_preprocessing`.
    """
    path = Path(path)
    facts = _stated_norm(inspect_embedder(path), norm_output)
    model, _ = read_model(path, sha256=facts.sha256)
    shapes = map_shapes(model, input_size=facts.input_size or 112, names=facts.style_taps)
    network = check_network(path, facts, _noise(model, facts), norm_output=facts.norm_output)
    guess = None
    if crops is not None:
        guess = guess_preprocessing(path, facts, crops, dim=dim, num_threads=num_threads)
        seen = check_crops(crops, CropQuality(num_threads=num_threads), judges_cut=_is_112(facts))
        guess = replace(guess, other_doubts=(*network.doubts, *seen.doubts))
    return ModelInspection(
        path=path,
        facts=facts,
        tap_shapes={name: shape[1:] for name, (shape, _) in shapes.items()},
        known=find_by_sha256(facts.sha256),
        guess=guess,
        network=network,
        form_of=form_of(model),
    )


def _noise(model: Any, facts: EmbedderFacts) -> npt.NDArray[Any]:
    """Four images of noise as the network takes them, whatever its scale."""
    size = facts.input_size or 112
    shape = (4, size, size, 3) if facts.channels_last else (4, 3, size, size)
    noise = np.random.default_rng(0).uniform(-1, 1, shape)
    return noise.astype(image_input(model).dtype)


def _is_112(facts: EmbedderFacts) -> bool:
    return facts.input_size in (None, 112)


def _stated_norm(facts: EmbedderFacts, name: str | None) -> EmbedderFacts:
    if name is None:
        return facts
    if name and name not in facts.outputs:
        raise ConfigError(
            f"norm_output: expected one of the outputs {', '.join(facts.outputs)}, or '' for none, "
            f"got {name!r}."
        )
    return replace(facts, norm_output=name or None, norm_candidates=())


def gather_faces(path: str | Path) -> tuple[npt.NDArray[np.uint8], list[SkippedImage]]:
    """Aligned crops of different people from a folder or zip archive.

    With a folder per person, one image of each is taken, otherwise all are; of many, `MAX_FACES`
    spread evenly.

    Returns:
        (N, 112, 112, 3) uint8 RGB, and the images that could not be used.

    Raises:
        MissingFileError: If the path does not exist.
        EmptySetError: If no image could be used.
        MissingExtraError: If OpenCV is not installed.
    """
    sources, skipped = list_images(path)
    people: dict[str, Any] = {}
    for source in sources:
        people.setdefault(source.name.replace("\\", "/").rpartition("/")[0], source)
    chosen = list(people.values()) if len(people) > 1 else list(sources)
    crops, unread = read_crops(chosen, count=MAX_FACES)
    skipped += unread
    if not len(crops):
        reason = f": {skipped[0]}" if skipped else ""
        raise EmptySetError(f"faces {str(path)!r}: found no aligned face crop{reason}.")
    return crops, skipped


def save_inspection(
    inspection: ModelInspection,
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    licence: str = "unknown",
    force: bool = False,
) -> KnownModel:
    """Stores what was found as an entry of the user's manifest, so that the name can be used.

    Args:
        inspection: What was found.
        name: The name to give it.
        settings: What is known better than the guess, as fields of `EmbedderSpec`, or
            `preprocessing="arcface"`.
        licence: Licence of the weights.
        force: Whether an entry of the user's of this name may be replaced.

    Raises:
        ConfigError: If the preprocessing is neither given nor guessed with some certainty, if the
            embedding's output is not clear, the file is the 8-bit form of another, or the name
            belongs to a model of the package.
        OutputExistsError: If there is such an entry and `force` is False.
    """
    facts, guess = inspection.facts, inspection.guess
    if inspection.form_of is not None:
        raise ConfigError(
            f"model {str(inspection.path)!r}: is an 8-bit form of {inspection.form_of} and stands for it only by "
            f"its file and description. Use it by its path, with the description beside it."
        )
    stated = {key: value for key, value in (settings or {}).items() if value is not None}
    if stated.pop("preprocessing", None) == "arcface":
        stated = {**ARCFACE_PREPROCESSING, **stated}
    found: dict[str, Any] = {
        "input_size": facts.input_size or 112,
        "style_taps": list(facts.style_taps),
    }
    if facts.norm_output is not None:
        found["norm_output"] = facts.norm_output
    if len(facts.dims) == 1:
        found["dim"] = facts.dims[0]
    if guess is not None and guess.confidence != "unsure":
        found |= {**guess.best.settings, "norm_is_quality": guess.norm_is_quality}
    found |= stated
    found["norm_output"] = found.get("norm_output") or None  # '' says that there is none
    missing = [key for key in ("dim", "channel_order", "mean", "std") if key not in found]
    if missing:
        doubts = "" if guess is None else "".join(f" ({doubt})" for doubt in guess.doubts)
        raise ConfigError(
            f"{inspection.path.name}: {', '.join(missing)} not known with certainty, so nothing is "
            f"stored{doubts}. Give one face each of more people (--faces DIR), or say it: --preprocessing "
            f"arcface. Or describe it in {inspection.path.with_suffix('.json').name} beside it (channel_order, mean, "
            f"std) and use it by its path."
        )
    entry = KnownModel(
        name=name,
        kind="embedder",
        file=str(inspection.path.resolve()),
        sha256=facts.sha256,
        size=inspection.path.stat().st_size,
        licence=licence,
        origin=f"own file {inspection.path.name}",
        settings={
            key: list(value) if isinstance(value, tuple) else value
            for key, value in found.items()
            if value is not None
        },
    )
    remember_model(entry, force=force)
    return entry
