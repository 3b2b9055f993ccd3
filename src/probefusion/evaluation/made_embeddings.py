"""The door for embeddings made elsewhere: one row per image of a protocol, as `.npy` or `.npz`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_float_array, check_length, row_norms
from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    ShapeError,
)
from probefusion.evaluation.licensed import EmbeddedRows
from probefusion.files import check_existing, read_npz
from probefusion.files.npy import read_npy
from probefusion.protocols.licensed import Benchmark
from probefusion.types import EmbeddingSet

__all__ = ["MadeEmbeddings", "find_names", "read_made_embeddings", "rows_of_benchmark"]

_log = logging.getLogger("probefusion")

_LEAST_DOUBLED = 64
"""Columns from which on halves that are alike are no chance."""
_ROWS_LOOKED_AT = 1000
_ALIKE = 0.6
"""Median cosine of the halves; that of image and mirror image is mostly above 0.9, of other halves near 0."""

_OPTIONAL = frozenset(
    {
        "names",
        "sources",
        "style",
        "norms",
        "quality",
        "detector_scores",
        "media_ids",
        "embedder",
        "norms_known",
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class MadeEmbeddings:
    """Embeddings of a benchmark's images that somebody made.

    Args:
        images: Those with a direction.
        has_face: (R,) bool, False for rows of zeros, which stand for "no face found".
        names: R names of the images, or None where the file holds none.
        origin: Name of the file.
    """

    images: EmbeddingSet
    has_face: npt.NDArray[np.bool_]
    names: tuple[str, ...] | None
    origin: str


def read_made_embeddings(
    path: str | Path, *, embedder: str | None = None, flipped: bool = False
) -> MadeEmbeddings:
    """Reads one embedding per image of a benchmark.

    - `.npy`: one floating-point array (R, D), rows in the benchmark's order (`Benchmark.row_order`).
    - `.npz`: `embeddings` (R, D) and, as far as known, `names` (R,) texts, which free the rows from
      the benchmark's order, `norms` (R,) lengths that the embeddings had before they were normalised,
      `style` (R, C, 2), `quality` (R,), `detector_scores` (R,), `embedder`. A file of `EmbeddingSet.save` will do: its
      `sources` are the names.

    A row of zeros stands for an image without a face. Keep lengths where you can: fusers see in them
    how good an image is.

    Args:
        path: The file.
        embedder: Fingerprint of what made them; None where that is not known.
        flipped: Whether a row holds the embedding of the image and then that of its mirror image,
            (R, 2 D); the two are added, as InsightFace's IJB helper does.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is of another kind, or a key is missing or unknown.
        InvalidInputError: If an array is not what it must be; the message names file and row.
        ConfigError: If the file names another embedder than `embedder`.
    """
    path = check_existing(path, name="embeddings")
    arrays = _read_arrays(path)
    where = f" of {path.name}"
    embeddings = check_float_array(
        arrays["embeddings"], name="embeddings", shape=(None, None), where=where
    )
    if flipped:
        embeddings = _added(embeddings, where)
    elif _look_flipped(embeddings):
        _log.warning(
            "embeddings%s: the halves of the %d columns are alike: do they hold image and mirror image? Then "
            "give --flipped (flipped=True), and they are added.",
            where,
            embeddings.shape[1],
        )
    if (lengths := arrays.get("norms")) is not None:
        embeddings = _with_lengths(embeddings, lengths, where)
    has_face = np.asarray(embeddings.any(axis=1))
    if not has_face.any():
        raise EmptySetError(
            f"embeddings{where}: expected at least one row that is not zero, got {len(has_face)} rows."
        )
    stated = None if "embedder" not in arrays else str(arrays["embedder"])
    if None not in (stated, embedder) and stated != embedder:
        raise ConfigError(
            f"embedder: the file {path.name} says it was made by {stated}, got {embedder}. Leave the "
            f"embedder out, or name the right one."
        )
    columns: dict[str, Any] = {
        name: _rows(arrays[name], has_face, name, where)
        for name in ("style", "quality", "detector_scores")
        if name in arrays
    }
    known = arrays.get("norms_known")
    images = EmbeddingSet(
        embeddings=embeddings if has_face.all() else embeddings[has_face],
        embedder=embedder or stated,
        norms_known=True if lengths is not None else None if known is None else bool(known),
        origin=path.name,
        **columns,
    )
    return MadeEmbeddings(
        images=images, has_face=has_face, names=_names(arrays, len(has_face)), origin=path.name
    )


def rows_of_benchmark(benchmark: Benchmark, made: MadeEmbeddings) -> EmbeddedRows:
    """Brings embeddings to the rows of a benchmark: by name where there are names, else in its order.

    A name may stand with folders before it. Rows of the benchmark without an embedding are failures
    to acquire, as those of an image without a face.

    Raises:
        ShapeError: If there are no names and the number of rows is not the benchmark's.
        InvalidInputError: If a name is not one of the benchmark's, or comes twice.
    """
    place = np.where(made.has_face, np.cumsum(made.has_face) - 1, -1).astype(np.int64)
    total = len(benchmark.row_names)
    if made.names is None:
        if len(place) != total:
            raise ShapeError(
                f"embeddings of {made.origin}: {benchmark.name} has {total} images, expected as many "
                f"rows in the order of {benchmark.row_order}, got {len(place)}. Give the rows of all "
                f"images (zeros where no face was found), or an .npz with names beside embeddings."
            )
        return EmbeddedRows(images=made.images, position=place)
    found = find_names(made.names, benchmark.row_names, what=benchmark.name, origin=made.origin)
    position = np.full(total, -1, dtype=np.int64)
    position[found] = place
    return EmbeddedRows(images=made.images, position=position)


def find_names(
    names: Sequence[str], row_names: Sequence[str], *, what: str, origin: str
) -> npt.NDArray[np.int64]:
    """Which row each name of a file is of; a name may stand with folders before it.

    Args:
        names: R names that the file holds.
        row_names: Names of all rows.
        what: What the rows are of, for messages.
        origin: Name of the file, for messages.

    Returns:
        (R,) int64.

    Raises:
        InvalidInputError: If a name is of no row, or a row comes twice.
    """
    rows = {name: row for row, name in enumerate(row_names)}
    found = np.full(len(names), -1, dtype=np.int64)
    for index, name in enumerate(names):
        parts = name.replace("\\", "/").split("/")
        endings = (name, *("/".join(parts[start:]) for start in range(len(parts))))
        found[index] = next((rows[ending] for ending in endings if ending in rows), -1)
    strange = np.flatnonzero(found < 0)
    if len(strange):
        raise InvalidInputError(
            f"names of {origin}: {what} has no image {names[strange[0]]!r} ({len(strange)} "
            f"such of {len(names)}); its first one is {row_names[0]!r}. Rename them."
        )
    different, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        name = row_names[int(different[np.argmax(counts > 1)])]
        raise InvalidInputError(
            f"names of {origin}: expected each image once, got {name!r} {counts.max()} times."
        )
    return found


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix.lower() == ".npz":
        return read_npz(
            path,
            kind="embedding_set",
            version=1,
            required=frozenset({"embeddings"}),
            optional=_OPTIONAL,
        )
    if path.suffix.lower() != ".npy":
        raise FileFormatError(
            f"embeddings: expected an .npy or .npz file with a row per image, got {path.name!r}."
        )
    return {"embeddings": read_npy(path)}


def _look_flipped(embeddings: npt.NDArray[np.float32]) -> bool:
    """Whether each row seems to hold two embeddings of one face; those of other numbers are not alike."""
    width = embeddings.shape[1]
    if width % 2 or width < _LEAST_DOUBLED:
        return False
    sample = embeddings[:_ROWS_LOOKED_AT].astype(np.float64)
    first, second = sample[:, : width // 2], sample[:, width // 2 :]
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    known = lengths > 0
    if not known.any():
        return False
    return bool(np.median((first * second).sum(axis=1)[known] / lengths[known]) > _ALIKE)


def _added(embeddings: npt.NDArray[np.float32], where: str) -> npt.NDArray[np.float32]:
    width = embeddings.shape[1]
    if width % 2:
        raise ShapeError(
            f"embeddings{where}: flipped rows hold two embeddings each, expected an even number of "
            f"columns, got {width}. Leave flipped out."
        )
    return embeddings[:, : width // 2] + embeddings[:, width // 2 :]


def _with_lengths(
    embeddings: npt.NDArray[np.float32], lengths: npt.NDArray[Any], where: str
) -> npt.NDArray[np.float32]:
    """Directions with the lengths that are given for them."""
    norms = check_float_array(lengths, name="norms", shape=(None,), where=where)
    check_length(norms, len(embeddings), name="norms", where=where)
    if (norms < 0).any():
        raise InvalidInputError(f"norms{where}: expected lengths of 0 or more, got {norms.min()}.")
    own = row_norms(embeddings)
    factors = (norms / np.where(own > 0, own, 1)).astype(np.float32)
    return embeddings * factors[:, None]


def _rows(
    column: npt.NDArray[Any], kept: npt.NDArray[np.bool_], name: str, where: str
) -> npt.NDArray[Any]:
    check_length(column, len(kept), name=name, where=where)
    return column if kept.all() else column[kept]


def _names(arrays: dict[str, npt.NDArray[Any]], length: int) -> tuple[str, ...] | None:
    for key in ("names", "sources"):
        if key in arrays:
            check_length(arrays[key], length, name=key)
            return tuple(arrays[key].astype(np.str_).tolist())
    return None
