"""What an archive is.

Two kinds of archive hold one row per image, in any order, on this machine or behind a url:

    FILE.parquet, or a folder of *.parquet files, read in the order of their names
        embedding     list of D numbers, float16, float32 or float64
        style         list of 2C numbers: mean and deviation of channel 0, of channel 1, ...; optional
        quality       number, logarithm of the weight that the image deserves by the look of its crop; optional
        template_id   integer or text; or another column of that kind, named when opening
        source        text that names the image; read only where an image is erased
        other columns are not read; the file metadata key `embedder` gives the embedder's fingerprint
    a folder of memory-mapped arrays
        embeddings.npy     (N, D)
        style.npy          (N, C, 2); optional
        template_ids.npy   (N,) integers or text; or the file of another column, in the plural
        embedder.txt       the embedder's fingerprint; optional
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, MissingFileError, StorageError

__all__ = [
    "UNREADABLE",
    "Archive",
    "ArchiveFile",
    "ArchiveRows",
    "FailedFile",
    "RowReader",
]

UNREADABLE = (FileFormatError, MissingFileError, StorageError, OSError)
"""What is raised for a file that cannot be read, whatever stands in it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArchiveRows:
    """Consecutive rows of one file of an archive.

    Args:
        start: Row number of the first, in its file.
        ids: (n,) integers or text, the template of each.
        embeddings: (n, D) floating point as stored.
        style: (n, C, 2) as stored, or None.
        quality: (n,) as stored, or None.
        sources: (n,) text, or None where it was not asked for.
        were_fused: Whether they were fused before, and so checked by the release that did it.
    """

    start: int
    ids: npt.NDArray[Any]
    embeddings: npt.NDArray[np.floating]
    style: npt.NDArray[np.floating] | None
    quality: npt.NDArray[np.floating] | None = None
    sources: npt.NDArray[Any] | None = None
    were_fused: bool = False


@dataclass(frozen=True, kw_only=True)
class ArchiveFile:
    """A file of an archive; a folder of memory-mapped arrays counts as one.

    Args:
        name: Its name below the archive's folder.
        place: Its path or url.
        size: Bytes.
        tag: What changes when it is written anew.
        num_rows: Images.
        group_rows: Rows of each of its row groups.
    """

    name: str
    place: str
    size: int
    tag: str
    num_rows: int
    group_rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FailedFile:
    """A file that could not be read.

    Args:
        name: Its name below the archive's folder.
        reason: Why, in one line.
    """

    name: str
    reason: str


class RowReader(Protocol):
    """Reads files of one kind; travels to workers, so it holds settings only."""

    @property
    def by(self) -> str:
        """The column that says which rows belong together."""
        ...

    def parts(
        self, place: str, start: int, stop: int, count: int, columns: frozenset[str]
    ) -> Iterator[tuple[int, Any]]:
        """What the file holds of some rows, undecoded, at most `count` rows at a time, with the first one's number.

        Args:
            place: The file.
            start: The first row.
            stop: Behind the last row.
            count: Most rows at a time.
            columns: Of "embedding", "style", "quality", "source"; the ids always come. Those that are not there are
                left out.

        Raises:
            FileFormatError, MissingFileError, StorageError, OSError: If the file cannot be read (`UNREADABLE`).
        """
        ...

    def decoded(self, start: int, part: Any, name: str) -> ArchiveRows:
        """Rows of what `parts` gave.

        Raises:
            ProbeFusionError: If what stands there is not what it must be; the message names file and column.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Archive:
    """Rows of embeddings on disk.

    Args:
        name: For messages.
        place: Its path or url.
        embedder: Fingerprint of the embedder, or None when unknown.
        files: What is read, in the order of their names.
        failed_files: What could not be read.
        reader: Reads them.
        norms_known: Whether the lengths of the embeddings are the network's own, where the files say it.
        id_kind: "integers", "large integers" (they may need 64 bits without a sign) or "texts".
    """

    name: str
    place: str
    embedder: str | None
    files: tuple[ArchiveFile, ...]
    failed_files: tuple[FailedFile, ...] = ()
    reader: RowReader
    id_kind: str
    norms_known: bool | None = None

    @property
    def num_images(self) -> int:
        """Rows of all files that can be read."""
        return sum(file.num_rows for file in self.files)

    def ids(self) -> Iterator[npt.NDArray[Any]]:
        """The template of every row, in parts; no embedding is read."""
        for _, rows in self._rows(1 << 16, frozenset()):
            yield rows.ids

    def rows(self, count: int, *, with_style: bool = True) -> Iterator[ArchiveRows]:
        """All rows, file after file, at most `count` at a time."""
        columns = {"embedding", "quality"} | ({"style"} if with_style else set())
        for _, rows in self._rows(count, frozenset(columns)):
            yield rows

    def _rows(
        self, count: int, columns: frozenset[str]
    ) -> Iterator[tuple[ArchiveFile, ArchiveRows]]:
        for file in self.files:
            for start, part in self.reader.parts(file.place, 0, file.num_rows, count, columns):
                yield file, self.reader.decoded(start, part, file.name)


Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""
