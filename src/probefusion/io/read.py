"""One function for all formats: a path in, an `EmbeddingSet` out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from probefusion.checks import check_file
from probefusion.errors import FileFormatError
from probefusion.io.hdf5 import read_hdf5
from probefusion.io.tables import read_csv, read_parquet
from probefusion.npy import read_npy
from probefusion.types import EmbeddingSet

__all__ = ["read_embeddings", "readable_suffixes"]


def _read_npy(path: Path) -> EmbeddingSet:
    with path.open("rb") as stream:
        if stream.read(4) == b"PK\3\4":
            raise FileFormatError(
                f"{path.name}: expected one .npy array, got an archive. Name it .npz."
            )
    return EmbeddingSet(embeddings=read_npy(path), origin=path.name)


_READERS: dict[str, Callable[[Path], EmbeddingSet]] = {
    ".npy": _read_npy,
    ".npz": EmbeddingSet.load,
    ".csv": read_csv,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".parquet": read_parquet,
}


def readable_suffixes() -> tuple[str, ...]:
    """The file name endings `read_embeddings` knows."""
    return tuple(_READERS)


def read_embeddings(path: str | Path) -> EmbeddingSet:
    """Reads the embeddings of one person.

    - `.npy`: one (N, D) floating-point array.
    - `.npz`: the keys of `EmbeddingSet.save`; at least `embeddings`.
    - `.csv`: one image per row; see `probefusion.io.tables.read_csv`.
    - `.h5`, `.hdf5`: see `probefusion.io.hdf5.read_hdf5` (needs `probefusion[data]`).
    - `.parquet`: see `probefusion.io.tables.read_parquet` (needs `probefusion[data]`).

    Args:
        path: The file; its ending, in any case, says the format.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If the ending is unknown or the content is not what it promises.
        InvalidInputError: If the embeddings are not valid; the message names file and row.
        MissingExtraError: If the format needs a package that is not installed.
    """
    path = check_file(path, name="embeddings file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileFormatError(
            f"{path.name}: expected one of {', '.join(_READERS)}, got ending {path.suffix!r}."
        )
    return reader(path)
