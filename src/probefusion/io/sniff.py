"""What a file holds, before it is read: by its ending, and inside a container by its content."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from probefusion.errors import FileFormatError
from probefusion.faces.frames import is_video
from probefusion.faces.images import IMAGE_SUFFIXES
from probefusion.files import check_existing
from probefusion.files.npy import open_npz
from probefusion.files.parquet import open_parquet
from probefusion.io.columns import numbered_columns

__all__ = ["Kind", "kind_of"]

Kind = Literal[
    "embedding_set",
    "template",
    "templates",
    "fusion_state",
    "array",
    "table",
    "image",
    "video",
    "folder",
    "zip",
    "unknown",
]

_LONGEST_HEADER = 1 << 24
"""Bytes of a safetensors header that are looked at; a state's takes a few hundred."""


def kind_of(path: str | Path) -> Kind:
    """What a path stands for.

    - "embedding_set": `.npz` of `EmbeddingSet.save`, or made by hand with the key `embeddings`.
    - "template": `.npz` of `Template.save`.
    - "templates": `.npz` or `.parquet` of `TemplateSet.save` or `fuse_archive`.
    - "fusion_state": `.safetensors` of `FusionState.save`.
    - "array": `.npy`.
    - "table": `.csv`, `.tsv`, `.txt`, `.list`, `.h5`, `.hdf5`, or a `.parquet` with an embedding: one image
      per row.
    - "image", "video": by the ending; a stream's address or a webcam is a video too.
    - "folder", "zip".
    - "unknown": anything else, damaged containers too: reading one tells what is wrong with it.

    All but "image", "video", "folder", "zip" and "unknown" are read by `read_embeddings`,
    `Template.load`, `TemplateSet.load` and `FusionState.load`.

    Args:
        path: A file, a folder, or the address of a video.

    Raises:
        MissingFileError: If there is nothing at `path`.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    if is_video(path):
        if "://" not in str(path) and not str(path).startswith("webcam:"):
            check_existing(path)
        return "video"
    path = check_existing(path)
    if path.is_dir():
        return "folder"
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in _BY_ENDING:
        return _BY_ENDING[suffix]
    if suffix == ".npz":
        return _npz_kind(path)
    if suffix == ".parquet":
        return _parquet_kind(path)
    if suffix == ".safetensors":
        return "fusion_state" if _is_state(path) else "unknown"
    return "unknown"


_BY_ENDING: dict[str, Kind] = {
    ".npy": "array",
    ".csv": "table",
    ".tsv": "table",
    ".txt": "table",
    ".list": "table",
    ".h5": "table",
    ".hdf5": "table",
    ".zip": "zip",
}
_NPZ_KINDS: dict[str, Kind] = {
    "embedding_set": "embedding_set",
    "template": "template",
    "templates": "templates",
}


def _npz_kind(path: Path) -> Kind:
    """The kind that the file states; where it states none, as files made by hand, that of its keys."""
    try:
        with open_npz(path) as archive:
            if "kind" in archive.names:
                return _NPZ_KINDS.get(str(archive.read("kind")), "unknown")
            return _kind_of_names(archive.names)
    except FileFormatError:
        return "unknown"


def _parquet_kind(path: Path) -> Kind:
    try:
        with open_parquet(path) as file:
            names = file.schema_arrow.names
    except FileFormatError:
        return "unknown"
    kind = _kind_of_names([name.lower() for name in names])
    is_table = kind == "embedding_set" or (kind == "unknown" and bool(numbered_columns(names)))
    return "table" if is_table else kind


def _kind_of_names(names: Iterable[str]) -> Kind:
    found = set(names)
    if {"vector", "num_images"} <= found:
        return "template"
    if {"template_id", "num_images", "embedding"} <= found:  # Parquet
        return "templates"
    if {"template_ids", "num_images", "embeddings"} <= found:  # .npz
        return "templates"
    return "embedding_set" if found & {"embedding", "embeddings"} else "unknown"


def _is_state(path: Path) -> bool:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(min(length, _LONGEST_HEADER))
    try:
        facts = json.loads(header)["__metadata__"]
        return bool(facts["kind"] == "fusion_state")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
