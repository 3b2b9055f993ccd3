"""Whatever a person may point at, sorted by what must be done with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, DtypeError, EmptySetError, FileFormatError
from probefusion.files import check_existing
from probefusion.files.paths import as_list
from probefusion.files.reading import in_one_line
from probefusion.io.doubts import question_shape
from probefusion.pipeline.folders import check_one_person
from probefusion.pipeline.results import FoundFace
from probefusion.types import EmbeddingSet, FusionState, Template

__all__ = ["Inputs", "Picture", "Source", "sort_inputs"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """An image in memory, with a name for messages and weights.

    Args:
        name: What names it.
        pixels: (H, W, 3) uint8 RGB.
    """

    name: str
    pixels: npt.NDArray[np.uint8]


Source: TypeAlias = (
    str | os.PathLike[str] | EmbeddingSet | FusionState | FoundFace | Picture | npt.NDArray[Any]
)
"""One input: a path or address, or an object."""

_EXPECTED = "a path, an array, an EmbeddingSet, a FusionState or a found face"


@dataclass(kw_only=True, eq=False)
class Inputs:
    """Inputs of one person by kind, each in the order given.

    Args:
        states: Saved states, read.
        sets: Embedding sets, read.
        images: Images, folders and zip archives.
        pictures: Names and pixels, (H, W, 3) uint8 RGB, of images that are in memory.
        videos: Files, streams and webcams.
    """

    states: list[FusionState] = field(default_factory=list)
    sets: list[EmbeddingSet] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    pictures: list[tuple[str, npt.NDArray[np.uint8]]] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)


def sort_inputs(
    inputs: Source | Iterable[Source],
    *,
    one_person: bool = False,
    ignore_columns: Sequence[str] = (),
) -> Inputs:
    """Sorts inputs by kind, and reads embedding files and states.

    Args:
        inputs: One input or several.
        one_person: Whether the sub-folders of a folder or archive without images of its own are all of
            one person.
        ignore_columns: Columns of embedding tables that are passed over.

    Raises:
        EmptySetError: If there is none.
        MissingFileError: If a path does not exist.
        ConfigError: If a folder or archive may hold several people, or a `Template` was given.
        FileFormatError: If a file holds finished templates.
        DtypeError: If an input is of another kind.
        ProbeFusionError: If a file cannot be read.
    """
    single = isinstance(
        inputs, str | os.PathLike | EmbeddingSet | FusionState | FoundFace | Picture | Template
    )
    given: list[Any] = (
        [inputs]
        if single or isinstance(inputs, np.ndarray)
        else as_list(inputs, "inputs", expected=_EXPECTED)
    )
    if not given:
        raise EmptySetError("inputs: expected at least one, got none.")
    found = Inputs()
    for place, item in enumerate(given):
        if isinstance(item, str | os.PathLike):
            _sort_path(os.fspath(item), found, one_person=one_person, ignore=ignore_columns)
        else:
            _sort_object(item, place, found)
    return found


def _sort_path(text: str, found: Inputs, *, one_person: bool, ignore: Sequence[str]) -> None:
    from probefusion.faces.frames import is_video
    from probefusion.io import advice_for, has_columns, kind_of, read_embeddings, readable_suffixes

    if is_video(text):
        found.videos.append(text)
        return
    path = check_existing(text)
    suffix = path.suffix.lower() if path.is_file() else ""
    if suffix == ".safetensors":
        found.states.append(FusionState.load(path))
    elif suffix in (".npz", ".parquet") and kind_of(path) in ("template", "templates"):
        raise FileFormatError(
            f"{in_one_line(path)}: this is a finished template, to which no images can be added. Compare it "
            f"(probefusion compare {in_one_line(path)} OTHER), or fuse its state (.safetensors) or the embeddings "
            f"that it was made of."
        )
    elif suffix in readable_suffixes():
        found.sets.append(read_embeddings(path, ignore=ignore if has_columns(path) else ()))
    elif suffix and (advice := advice_for(path)) is not None:
        raise FileFormatError(advice)
    else:
        if not one_person:
            check_one_person(path)
        found.images.append(path)


def _sort_object(item: Any, place: int, found: Inputs) -> None:
    if isinstance(item, FusionState):
        found.states.append(item)
    elif isinstance(item, EmbeddingSet):
        found.sets.append(item)
    elif isinstance(item, FoundFace):
        found.sets.append(item.images)
    elif isinstance(item, Picture):
        found.pictures.append((item.name, _pixels(item.pixels, item.name)[0]))
    elif isinstance(item, Template):
        raise ConfigError(
            f"input {place}: expected images, embeddings or a state, got a template, which cannot be added to. "
            f"Give the state (.safetensors) it was made of."
        )
    elif isinstance(item, np.ndarray) and item.dtype == np.uint8:
        pictures = _pixels(item, f"input {place}")
        names = (
            [f"input {place}"]
            if item.ndim == 3
            else [f"input {place}[{k}]" for k in range(len(item))]
        )
        found.pictures += list(zip(names, pictures, strict=True))
    elif isinstance(item, np.ndarray):
        question_shape(item, origin=f"input {place}")
        found.sets.append(EmbeddingSet(embeddings=item, origin=f"input {place}"))
    else:
        raise DtypeError(f"input {place}: expected {_EXPECTED}, got {type(item).__name__}.")


def _pixels(item: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3) of one picture or several.

    Raises:
        DtypeError: If they are none.
    """
    pictures = item if item.ndim == 4 else item[None]
    if pictures.ndim != 4 or pictures.shape[3] != 3 or item.dtype != np.uint8:
        raise DtypeError(
            f"{name}: expected pixels (H, W, 3) or (N, H, W, 3) uint8 RGB, got {item.dtype} of shape "
            f"{item.shape}. Embeddings are floating point."
        )
    return pictures
