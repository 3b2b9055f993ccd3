"""What an archive is.

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

__all__ = ["Archive", "ArchiveRows", "identity_of"]


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
        files: What is read.
    """

    name: str
    num_images: int
    embedder: str | None
    identity: str
    files: tuple[Path, ...]

    @abstractmethod
    def ids(self) -> Iterator[npt.NDArray[Any]]:
        """The template of every row, in parts; no embedding is read."""

    @abstractmethod
    def rows(self, start: int, count: int, *, with_style: bool) -> Iterator[ArchiveRows]:
        """All rows from `start` on, at most `count` at a time."""


def identity_of(files: list[Path]) -> str:
    """Names, sizes and times of change of files, as one text."""
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return ";".join(f"{name}:{size}:{time}" for name, size, time in facts)
