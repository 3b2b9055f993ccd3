"""An archive as a folder of arrays, mapped into memory or read in ranges from a url."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import (
    Place,
    exists,
    is_url,
    join,
    open_file,
    read_bytes,
    stored_file,
)
from probefusion.archives.rows.archive import Archive, ArchiveFile, ArchiveRows
from probefusion.errors import DtypeError, FileFormatError, MissingFileError
from probefusion.files.npy import NpyHeader, map_npy, read_npy_header
from probefusion.files.reading import in_one_line, reading

__all__ = ["NpyReader", "open_npy_archive"]

_LONGEST_NAME = 1 << 12
"""Bytes of a fingerprint."""
_FILES = {"embedding": "embeddings.npy", "style": "style.npy"}


@dataclass(frozen=True, kw_only=True)
class NpyReader:
    """Reads ranges of rows of a folder of arrays.

    Args:
        by: Column that says which images belong together; its file is `<by>s.npy`.
        has_style: Whether there is a `style.npy`.
    """

    by: str
    has_style: bool

    def parts(
        self, place: str, start: int, stop: int, count: int, columns: frozenset[str]
    ) -> Iterator[tuple[int, dict[str, npt.NDArray[Any]]]]:
        """See `probefusion.archives.rows.archive.RowReader`."""
        names = {"ids": f"{self.by}s.npy"}
        for column in columns & _FILES.keys():
            if column != "style" or self.has_style:
                names[column] = _FILES[column]
        for begin in range(start, stop, count):
            # The files are opened anew for each part: what was read does not stay in memory.
            end = min(begin + count, stop)
            yield (
                begin,
                {
                    column: _read_rows(join(place, name), begin, end)
                    for column, name in names.items()
                },
            )

    def decoded(self, start: int, part: Any, name: str) -> ArchiveRows:
        """See `probefusion.archives.rows.archive.RowReader`."""
        del name
        return ArchiveRows(
            start=start,
            ids=part["ids"],
            embeddings=part.get("embedding", np.zeros((len(part["ids"]), 0), np.float32)),
            style=part.get("style"),
        )


def open_npy_archive(folder: Place, *, by: str, name: str) -> Archive:
    """Opens such a folder.

    Args:
        folder: The folder.
        by: Column that says which images belong together.
        name: For messages.

    Raises:
        MissingFileError: If a file is missing.
        FileFormatError: If an array has the wrong shape.
        DtypeError: If the ids are neither integers nor texts.
    """
    places = {"embeddings": join(folder, "embeddings.npy"), "ids": join(folder, f"{by}s.npy")}
    if not exists(places["ids"]):
        raise MissingFileError(
            f"column {by!r} {in_one_line(places['ids'])} does not exist. Name the column of the templates with "
            f"by= (--by)."
        )
    if exists(join(folder, "style.npy")):
        places["style"] = join(folder, "style.npy")
    headers = {column: _header(place) for column, place in places.items()}
    count = headers["embeddings"].shape[0] if headers["embeddings"].shape else 0
    for column, axes in (("embeddings", 2), ("ids", 1), ("style", 3)):
        if column not in headers:
            continue
        shape = headers[column].shape
        if len(shape) != axes or shape[0] != count:
            raise FileFormatError(
                f"{places[column].rpartition('/')[2]} of {name}: expected {axes} axes and one row per "
                f"image ({count}), got shape {shape}."
            )
    dtype = headers["ids"].dtype
    if dtype.kind not in "iuU":
        raise DtypeError(f"{by} of {name}: expected integers or texts, got {dtype}.")
    stored = [stored_file(place) for place in places.values()]
    file = ArchiveFile(
        name=name,
        place=str(folder),
        size=sum(found.size for found in stored),
        tag=";".join(f"{found.name}:{found.size}:{found.tag}" for found in stored),
        num_rows=count,
        group_rows=(),
    )
    kind = "texts" if dtype.kind == "U" else "integers"
    return Archive(
        name=name,
        place=str(folder),
        embedder=_card(join(folder, "embedder.txt")),
        files=(file,) if count else (),
        reader=NpyReader(by=by, has_style="style" in places),
        id_kind="large integers" if dtype == np.uint64 else kind,
    )


def _card(place: str) -> str | None:
    """The embedder's fingerprint, where the folder says it."""
    if not exists(place):
        return None
    with reading(place, "a text in UTF-8"):
        if stored_file(place).size > _LONGEST_NAME:
            raise FileFormatError(
                f"{in_one_line(place)}: expected at most {_LONGEST_NAME:,} bytes. Check that it is the right file."
            )
        return read_bytes(place).decode().strip()


def _header(place: str) -> NpyHeader:
    with open_file(place) as stream:
        return read_npy_header(stream, place, size=stored_file(place).size)


def _read_rows(place: str, start: int, stop: int) -> npt.NDArray[Any]:
    """Some rows of an array, as an array of their own."""
    if not is_url(place):
        return np.array(map_npy(place)[start:stop])
    with open_file(place) as stream:
        header = read_npy_header(stream, place, size=stored_file(place).size)
        if header.is_fortran and len(header.shape) > 1:
            raise FileFormatError(
                f"{in_one_line(place)}: its rows do not follow each other (Fortran order), and behind a url they "
                f"must. Save numpy.ascontiguousarray(array)."
            )
        row = math.prod(header.shape[1:]) * header.dtype.itemsize
        stream.seek(stream.tell() + start * row)
        data = stream.read((stop - start) * row)
        with reading(place, "an .npy file of one plain array"):
            return np.frombuffer(data, header.dtype).reshape(stop - start, *header.shape[1:])
