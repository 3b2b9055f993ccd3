"""An archive as a folder of memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.archive import Archive, ArchiveRows, identity_of
from probefusion.errors import DtypeError, FileFormatError
from probefusion.files import check_existing
from probefusion.files.npy import map_npy
from probefusion.files.reading import read_bytes, reading

__all__ = ["MemmapArchive"]

_IDS_AT_ONCE = 1 << 16
_LONGEST_NAME = 1 << 12
"""Bytes of a fingerprint."""


class MemmapArchive(Archive):
    """See `probefusion.archives.archive` for the files.

    Args:
        folder: The folder.
        by: Column that says which images belong together; its file is `<by>s.npy`.

    Raises:
        MissingFileError: If a file is missing.
        FileFormatError: If an array has the wrong shape.
        DtypeError: If the ids are neither integers nor texts.
    """

    def __init__(self, folder: Path, *, by: str) -> None:
        self.name = folder.name
        self._by = by
        self._paths = {
            "embeddings": folder / "embeddings.npy",
            "ids": check_existing(folder / f"{by}s.npy", name=f"column {by!r}"),
        }
        if (folder / "style.npy").exists():
            self._paths["style"] = folder / "style.npy"
        shape = self._open("embeddings").shape
        self.num_images = len(self._open("embeddings"))
        for column, axes in (("embeddings", 2), ("ids", 1), ("style", 3)):
            if column not in self._paths:
                continue
            array = self._open(column)
            if array.ndim != axes or len(array) != shape[0]:
                raise FileFormatError(
                    f"{self._paths[column].name} of {self.name}: expected {axes} axes and one row per "
                    f"image ({shape[0]}), got shape {array.shape}."
                )
        ids = self._open("ids")
        if ids.dtype.kind not in "iuU":
            raise DtypeError(f"{by} of {self.name}: expected integers or texts, got {ids.dtype}.")
        card = folder / "embedder.txt"
        self.embedder = None
        if card.exists():
            with reading(card, "a text in UTF-8"):
                self.embedder = read_bytes(card, at_most=_LONGEST_NAME).decode().strip()
        self.files = tuple(self._paths.values())
        self.identity = identity_of(list(self.files))

    def ids(self) -> Iterator[npt.NDArray[Any]]:
        """The template of every row, in parts."""
        for start in range(0, self.num_images, _IDS_AT_ONCE):
            yield np.array(self._open("ids")[start : start + _IDS_AT_ONCE])

    def rows(self, start: int, count: int, *, with_style: bool) -> Iterator[ArchiveRows]:
        """All rows from `start` on, at most `count` at a time."""
        for begin in range(start, self.num_images, count):
            # The files are mapped anew for each part: what was read does not stay in memory.
            part = slice(begin, begin + count)
            style = self._open("style")[part] if with_style and "style" in self._paths else None
            yield ArchiveRows(
                start=begin,
                ids=np.array(self._open("ids")[part]),
                embeddings=np.array(self._open("embeddings")[part]),
                style=None if style is None else np.array(style),
            )

    def _open(self, column: str) -> npt.NDArray[Any]:
        return map_npy(self._paths[column])
