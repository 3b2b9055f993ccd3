"""Parquet files with a column of images: the row groups of each chunk, and the images in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
from probefusion.errors import FileFormatError
from probefusion.extras import import_extra
from probefusion.faces.images import MAX_FILE_BYTES
from probefusion.faces.listing import SkippedImage, as_text
from probefusion.files.parquet import open_parquet_stream, reading_parquet
from probefusion.files.reading import in_one_line

__all__ = ["cut_parquet", "read_row_groups"]

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
    tag = tag_of([(file.name, file.size, file.tag)])
    for index, count in enumerate(counts):
        rows += count
        is_last = index + 1 == len(counts)
        if is_last or rows + counts[index + 1] > settings.chunk_size:
            chunks.append(
                Chunk(
                    kind="parquet",
                    names=(file.name,),
                    places=(file.place,),
                    start=start,
                    stop=index + 1,
                    expected=rows,
                    tag=tag,
                )
            )
            start, rows = index + 1, 0
    return chunks


def read_row_groups(
    chunk: Chunk, settings: SourceSettings
) -> Iterator[ArchiveImage | SkippedImage]:
    """The images of a chunk of a Parquet file; a row group that cannot be read is told once.

    Raises:
        StorageError: If the file may not be read, or its store cannot be reached.
    """
    (name,), (place,) = chunk.names, chunk.places
    stop = chunk.start if chunk.stop is None else chunk.stop
    with _opened(place, name) as file:
        image, person = _columns(file.schema_arrow, name, settings)
        for index in range(chunk.start, stop):
            row = 0
            try:
                with reading_parquet(name):
                    num_bytes = max(1, int(file.metadata.row_group(index).total_byte_size))
                    at_once = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // num_bytes))
                    batches = file.iter_batches(
                        at_once, row_groups=[index], columns=[image, person]
                    )
                    for batch in batches:
                        batch.validate(full=True)
                        for value, who in zip(
                            batch.column(image).to_pylist(),
                            batch.column(person).to_pylist(),
                            strict=True,
                        ):
                            yield _image_of(f"{name}#{index}.{row}", value, who, settings)
                            row += 1
            except FileFormatError as error:
                lost = file.metadata.row_group(index).num_rows - row
                yield SkippedImage(
                    source=as_text(f"{name}#{index}.{row}"),
                    reason=f"row group {index}: {lost} of its rows could not be read ({error})",
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
