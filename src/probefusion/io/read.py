"""One function for all formats: a path in, an `EmbeddingSet` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FileFormatError,
    ShapeError,
)
from probefusion.files import check_file
from probefusion.files.npy import read_npy
from probefusion.io.doubts import question_columns, question_shape
from probefusion.io.foreign_files import advice_for
from probefusion.io.hdf5 import read_hdf5
from probefusion.io.tables import read_csv, read_parquet, read_text
from probefusion.types import EmbeddingSet
from probefusion.types.revisions import remedy

__all__ = ["has_columns", "read_embeddings", "readable_suffixes"]


def _read_npy(path: Path) -> EmbeddingSet:
    with path.open("rb") as stream:
        if stream.read(4) == b"PK\3\4":
            raise FileFormatError(
                f"{path.name}: expected one .npy array, got an archive. Name it .npz."
            )
    array = read_npy(path)
    if array.ndim == 1 and array.dtype.kind == "f":
        raise ShapeError(
            f"{path.name}: expected one row per image, (N, D), got one vector {array.shape}. If it is a single "
            f"embedding, save it as a row: np.save('set.npy', array[None])"
        )
    question_shape(array, origin=path.name)
    question_columns(array, origin=path.name)
    return EmbeddingSet(embeddings=array, origin=path.name)


_READERS: dict[str, Callable[[Path], EmbeddingSet]] = {
    ".npy": _read_npy,
    ".npz": EmbeddingSet.load,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_text,
    ".list": read_text,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".parquet": read_parquet,
}
_WITH_COLUMNS: dict[str, Callable[..., EmbeddingSet]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".parquet": read_parquet,
}


def readable_suffixes() -> tuple[str, ...]:
    """The file name endings `read_embeddings` knows."""
    return tuple(_READERS)


def has_columns(path: str | Path) -> bool:
    """Whether a file, by its ending, holds columns with names."""
    return Path(path).suffix.lower() in _WITH_COLUMNS


def read_embeddings(
    path: str | Path, *, ignore: Iterable[str] = (), embedder: str | None = None
) -> EmbeddingSet:
    """Reads the embeddings of one person.

    - `.npy`: one (N, D) floating-point array.
    - `.npz`: the keys of `EmbeddingSet.save`; at least `embeddings`.
    - `.csv`, `.tsv`: one image per row; see `probefusion.io.tables.read_csv`.
    - `.txt`, `.list`: one image per line, numbers separated by blanks, a name before them or not.
    - `.h5`, `.hdf5`: see `probefusion.io.hdf5.read_hdf5` (needs `probefusion[data]`).
    - `.parquet`: see `probefusion.io.tables.read_parquet` (needs `probefusion[data]`).

    Args:
        path: The file; its ending, in any case, says the format.
        ignore: Columns of a table (data sets of an HDF5 file) that are passed over.
        embedder: Fingerprint of the network that made the embeddings (`load_embedder(...).fingerprint`),
            where the file does not say it.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If the ending is unknown or the content is not what it promises.
        InvalidInputError: If the embeddings are not valid, or an array without names looks transposed or
            like something else; the message names file and row.
        EmbedderMismatchError: If the file says that it is of another embedder.
        ConfigError: If columns are to be ignored in a file that has none.
        MissingExtraError: If the format needs a package that is not installed.
    """
    path = check_file(path, name="embeddings file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileFormatError(
            advice_for(path)
            or f"{path.name}: expected one of {', '.join(_READERS)}, got ending {path.suffix!r}."
        )
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if not ignore:
        images = reader(path)
    elif has_columns(path):
        images = _WITH_COLUMNS[path.suffix.lower()](path, ignore=ignore)
    else:
        raise ConfigError(
            f"ignore: {path.name} has no columns with names. Leave it out (--ignore-columns)."
        )
    return images if embedder is None else _stated(images, embedder)


def _stated(images: EmbeddingSet, embedder: str) -> EmbeddingSet:
    if images.embedder not in (None, embedder):
        raise EmbedderMismatchError(
            f"embedder: {images.origin} says that its embeddings are of {images.embedder}, got {embedder}. "
            f"{remedy(images.embedder, embedder, 'Leave embedder out, or name the one that made them.')}"
        )
    return replace(images, embedder=embedder)
