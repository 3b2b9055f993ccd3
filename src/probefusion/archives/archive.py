"""What an archive is, and how one is opened.

Two kinds of archive hold one row per image, in any order:

    FILE.parquet, or a folder of *.parquet files, read in the order of their names
        embedding     list of D numbers, float16, float32 or float64
        style         list of 2C numbers: mean and deviation of channel 0, of channel 1, ...; optional
        template_id   integer or text; or another column of that kind, named when opening
        other columns are not read; the file metadata key `embedder` gives the embedder's fingerprint
    a folder of memory-mapped arrays
        embeddings.npy     (N, D)
        style.npy          (N, C, 2); optional
        template_ids.npy   (N,) integers or text; or the file of another column, in the plural
        embedder.txt       the embedder's fingerprint; optional
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_existing
from probefusion.errors import DtypeError, FileFormatError

__all__ = ["Archive", "ArchiveRows", "check_ids", "open_archive"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ArchiveRows:
    """Consecutive rows of an archive.

    Args:
        start: Row number of the first.
        ids: (n,) integers or text, the template of each.
        embeddings: (n, D) floating point as stored.
        style: (n, C, 2) as stored, or None.
    """

    start: int
    ids: npt.NDArray[Any]
    embeddings: npt.NDArray[np.floating]
    style: npt.NDArray[np.floating] | None


class Archive(ABC):
    """Rows of embeddings on disk.

    Attributes:
        name: For messages.
        num_images: Rows.
        embedder: Fingerprint of the embedder, or None when unknown.
        identity: Text that changes when a file does.
    """

    name: str
    num_images: int
    embedder: str | None
    identity: str

    @abstractmethod
    def ids(self) -> Iterator[npt.NDArray[Any]]:
        """The template of every row, in parts; no embedding is read."""

    @abstractmethod
    def rows(self, start: int, count: int, *, with_style: bool) -> Iterator[ArchiveRows]:
        """All rows from `start` on, at most `count` at a time."""


def open_archive(path: str | Path, *, by: str = "template_id") -> Archive:
    """Opens an archive.

    Args:
        path: A Parquet file, a folder of them, or a folder of memory-mapped arrays.
        by: Column that says which images belong together: "template_id", "subject_id", ...

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If it is no archive, or lacks a column.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    from probefusion.archives.memmap_archive import MemmapArchive
    from probefusion.archives.parquet_archive import ParquetArchive

    path = check_existing(path, name="archive")
    if path.is_dir() and (path / "embeddings.npy").exists():
        return MemmapArchive(path, by=by)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".parquet":
        raise FileFormatError(
            f"archive {str(path)!r}: expected a .parquet file, or a folder with .parquet files or "
            f"with embeddings.npy. For the embeddings of one person use: probefusion fuse"
        )
    return ParquetArchive(files, by=by, name=path.name)


def identity_of(files: list[Path]) -> str:
    """Names, sizes and times of change of files, as one text."""
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return ";".join(f"{name}:{size}:{time}" for name, size, time in facts)


def check_ids(ids: npt.NDArray[Any], *, by: str, name: str) -> npt.NDArray[Any]:
    """Refuses ids that are neither integers nor text.

    Raises:
        DtypeError: If they are something else.
    """
    if ids.dtype.kind not in "iuU":
        raise DtypeError(f"{by} of {name}: expected integers or texts, got {ids.dtype}.")
    return ids
