"""Parquet files with a column of images: the row groups of each chunk, and the images in them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from probefusion.archives.files.storage import StoredFile, open_file
from probefusion.archives.images.chunks import (
    ArchiveImage,
    Chunk,
    SourceSettings,
    tag_of,
    too_large,
)
from probefusion.archives.images.naming import text_of
from probefusion.errors import FileFormatError, StorageError
from probefusion.extras import import_extra
from probefusion.faces.images import MAX_FILE_BYTES
from probefusion.faces.listing import SkippedImage, as_text
from probefusion.files.parquet import open_parquet_stream, reading_parquet
from probefusion.files.reading import in_one_line

__all__ = ["RowGroupReader", "cut_parquet"]

_LARGE = 2
"""Row groups of more than so many times the rows of a chunk are cut."""
_ROWS_AT_ONCE = 64
_BYTES_AT_ONCE = MAX_FILE_BYTES
"""All rows may hold one value, which a file stores once: so many bytes come at once if each is as large as can be."""

_PURPOSE = "reading Parquet files"


@contextmanager
def _opened(place: str, name: str) -> Iterator[Any]:
    with open_file(place) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        with open_parquet_stream(stream, name, size=size, read_ahead=False) as file:
            yield file


def cut_parquet(file: StoredFile, settings: SourceSettings) -> list[Chunk]:
    """The chunks of a Parquet file: row groups that follow each other, of about so many rows as are wanted.

    A row group of more than twice as many rows is cut into parts.

    Raises:
        FileFormatError: If it is no Parquet file, or lacks a column.
        StorageError: If it may not be read, or its store cannot be reached.
    """
    with _opened(file.place, file.name) as opened, reading_parquet(file.name):
        _columns(opened.schema_arrow, file.name, settings)
        counts = [
            opened.metadata.row_group(index).num_rows
            for index in range(opened.metadata.num_row_groups)
        ]
    chunks: list[Chunk] = []
    start = rows = 0
    whole = Chunk(
        kind="parquet",
        names=(file.name,),
        places=(file.place,),
        tag=tag_of([(file.name, file.size, file.tag)]),
    )
    for index, count in enumerate(counts):
        if count > _LARGE * settings.chunk_size:
            if rows:
                chunks.append(replace(whole, start=start, stop=index, expected=rows))
            chunks += _cut_group(whole, index, count, settings.chunk_size)
            start, rows = index + 1, 0
            continue
        rows += count
        is_last = index + 1 == len(counts)
        if is_last or rows + counts[index + 1] > settings.chunk_size:
            chunks.append(replace(whole, start=start, stop=index + 1, expected=rows))
            start, rows = index + 1, 0
    return chunks


def _cut_group(whole: Chunk, index: int, count: int, size: int) -> Iterator[Chunk]:
    """Parts of one row group; the tag of each says which one it is."""
    for first in range(0, count, size):
        rows = min(size, count - first)
        tag = tag_of([(whole.tag, index, first, rows)])
        yield replace(
            whole,
            start=index,
            stop=index + 1,
            first_row=first,
            num_rows=rows,
            expected=rows,
            tag=tag,
        )


class RowGroupReader:
    """Reads chunks of Parquet files. In a row group that is cut into several it goes on where it ended.

    Args:
        settings: How the source is read.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._opened = ExitStack()
        self._place = ""
        self._group = self._next_row = -1
        self._rows: Iterator[tuple[object, object]] = iter(())

    def read(self, chunk: Chunk) -> Iterator[ArchiveImage | SkippedImage]:
        """The images of a chunk of a Parquet file; a row group that cannot be read is told once.

        Raises:
            StorageError: If the file may not be read, or its store cannot be reached.
        """
        (name,), (place,) = chunk.names, chunk.places
        if chunk.num_rows is not None:
            yield from self._part(chunk, name, place, chunk.num_rows)
            return
        self.close()
        stop = chunk.start if chunk.stop is None else chunk.stop
        with _opened(place, name) as file:
            columns = _columns(file.schema_arrow, name, self._settings)
            for index in range(chunk.start, stop):
                count = file.metadata.row_group(index).num_rows
                rows = _rows_of(file, name, index, columns)
                yield from self._told(rows, name, index, 0, count)

    def close(self) -> None:
        """Lets go of the file."""
        self._rows = iter(())
        self._place, self._group, self._next_row = "", -1, -1
        self._opened.close()

    def _part(
        self, chunk: Chunk, name: str, place: str, num_rows: int
    ) -> Iterator[ArchiveImage | SkippedImage]:
        try:
            yield from self._rows_from(chunk, name, place, num_rows)
        except StorageError:
            self.close()  # who reads this chunk again begins with the file
            raise

    def _rows_from(
        self, chunk: Chunk, name: str, place: str, num_rows: int
    ) -> Iterator[ArchiveImage | SkippedImage]:
        first, index = chunk.first_row, chunk.start
        if (self._place, self._group) != (place, index) or not 0 <= self._next_row <= first:
            self.close()
            file = self._opened.enter_context(_opened(place, name))
            columns = _columns(file.schema_arrow, name, self._settings)
            self._rows = _rows_of(file, name, index, columns)
            self._place, self._group, self._next_row = place, index, 0
        rows, passed = self._counted(), first - self._next_row
        try:
            next(islice(rows, passed, passed), None)
        except FileFormatError as error:
            self.close()
            yield _lost(name, index, first, num_rows, error)
            return
        if not (yield from self._told(rows, name, index, first, num_rows)):
            self.close()

    def _counted(self) -> Iterator[tuple[object, object]]:
        """The rows of the open row group from where it is on; where somebody breaks off, the next part goes on."""
        for row in self._rows:
            self._next_row += 1
            yield row

    def _told(
        self, rows: Iterator[tuple[object, object]], name: str, index: int, first: int, count: int
    ) -> Generator[ArchiveImage | SkippedImage, None, bool]:
        """The images of some rows that follow, and whether all came; what cannot be read of them is told once."""
        row = first
        try:
            for value, who in islice(rows, count):
                yield _image_of(f"{name}#{index}.{row}", _plain(value), _plain(who), self._settings)
                row += 1
            if row < first + count:
                raise FileFormatError(f"{in_one_line(name)}: holds fewer rows than it says.")
        except FileFormatError as error:
            yield _lost(name, index, row, first + count - row, error)
            return False
        return True


def _rows_of(
    file: Any, name: str, index: int, columns: tuple[str, str]
) -> Iterator[tuple[object, object]]:
    """Image and person of each row of a row group, not yet taken out of Arrow's memory.

    Raises:
        FileFormatError: If it cannot be read any further.
    """
    image, person = columns
    with reading_parquet(name):
        num_bytes = max(1, int(file.metadata.row_group(index).total_byte_size))
        at_once = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // num_bytes))
        for batch in file.iter_batches(at_once, row_groups=[index], columns=[image, person]):
            batch.validate(full=True)
            yield from zip(batch.column(image), batch.column(person), strict=True)


def _plain(scalar: Any) -> object:
    value: object = scalar.as_py()
    return value


def _lost(name: str, index: int, row: int, count: int, error: FileFormatError) -> SkippedImage:
    return SkippedImage(
        source=as_text(f"{name}#{index}.{row}"),
        reason=f"row group {index}: {count} of its rows could not be read ({error})",
    )


def _image_of(
    source: str, value: object, who: object, settings: SourceSettings
) -> ArchiveImage | SkippedImage:
    source = as_text(source)
    data = value.get("bytes") if isinstance(value, dict) else value
    person = text_of(who)
    if not isinstance(data, bytes):
        return SkippedImage(source=source, reason="the row holds no bytes of an image")
    if len(data) > MAX_FILE_BYTES:
        return SkippedImage(source=source, reason=too_large(len(data)))
    if person is None:
        return SkippedImage(source=source, reason=settings.person.why_none(source))
    return ArchiveImage(source=source, subject_id=person, media_id=source, data=data)


def _columns(schema: Any, name: str, settings: SourceSettings) -> tuple[str, str]:
    """The columns of images and of people.

    Raises:
        FileFormatError: If one is missing or of another type.
    """
    types = import_extra("pyarrow.types", extra="data", purpose=_PURPOSE)
    image, person = settings.image_column, settings.person.field
    for column, option in ((image, "--image-column"), (person, "--person column:NAME")):
        if column not in schema.names:
            raise FileFormatError(
                f"{in_one_line(name)}: expected a column {column!r}, got {', '.join(schema.names)}. Name it with "
                f"{option}."
            )
    kind = schema.field(image).type
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (types.is_binary(kind) or types.is_large_binary(kind)):
        raise FileFormatError(
            f"{in_one_line(name)}: column {image!r}: expected bytes of image files, or a structure with them under "
            f"'bytes', got {kind}. Name another with --image-column."
        )
    return image, person
