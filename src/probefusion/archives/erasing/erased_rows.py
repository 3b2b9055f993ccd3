"""Rows of Parquet files that are to go: found by two columns, and left out as the file is written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import writing
from probefusion.archives.rows.archive import Archive, ArchiveFile
from probefusion.archives.rows.ids import among, as_stored
from probefusion.archives.rows.parquet_archive import open_stored_parquet
from probefusion.errors import FileFormatError
from probefusion.extras import import_extra
from probefusion.files.parquet import reading_parquet
from probefusion.files.reading import in_one_line, reading

__all__ = ["FoundRows", "find_rows", "write_without"]

_ROWS_AT_ONCE = 1 << 16
_FACTS = b"probefusion_chunk"
"""Where `probefusion.archives.images.chunk_file` says what became of images."""

Numbers = npt.NDArray[np.int64]


class FoundRows:
    """What is to go from one file.

    Attributes:
        rows: Numbers of the rows, ascending.
        images: Names of the images among them that were asked for.
        of_images: Ids of the people of those images.
        people: Ids among those asked for that have rows here.
    """

    def __init__(self) -> None:
        self.rows: Numbers = np.zeros(0, np.int64)
        self.images: set[str] = set()
        self.of_images: set[Any] = set()
        self.people: set[Any] = set()

    def add(
        self,
        start: int,
        ids: npt.NDArray[Any],
        sources: npt.NDArray[Any] | None,
        people: Collection[Any],
        images: Collection[str],
    ) -> None:
        """Looks at more rows."""
        of_people = among(ids, people)
        is_image = np.zeros(len(ids), bool)
        if sources is not None and images:
            is_image = among(sources, images)
            self.images |= set(sources[is_image].tolist())
            self.of_images |= set(ids[is_image].tolist())
        self.people |= set(ids[of_people].tolist())
        found = np.flatnonzero(of_people | is_image) + start
        self.rows = np.concatenate([self.rows, found])


def find_rows(
    archive: Archive, file: ArchiveFile, people: Collection[Any], images: Collection[str]
) -> FoundRows:
    """Looks for rows of people and images; embeddings are not read.

    Args:
        archive: The archive.
        file: One of its files.
        people: Ids.
        images: Texts of the column `source`.

    Raises:
        FileFormatError: If images are asked for and the file has no column `source`, or it cannot be read.
    """
    columns = frozenset({"source"} if images else ())
    found = FoundRows()
    for start, part in archive.reader.parts(file.place, 0, file.num_rows, _ROWS_AT_ONCE, columns):
        rows = archive.reader.decoded(start, part, file.name)
        if images and rows.sources is None:
            raise FileFormatError(
                f"{in_one_line(file.name)}: expected a column 'source' that names the images, there is none. Erase the "
                f"whole person, or write the file with that column."
            )
        ids = as_stored(rows.ids, archive.id_kind, file.name)
        found.add(start, ids, rows.sources, people, images)
    return found


def write_without(file: ArchiveFile, found: FoundRows) -> None:
    """Writes a file anew without some rows; row groups, columns and compression stay. At once or not at all.

    Metadata stays too, but for what `embed-archive` tells there: how many rows there are, and names of images that were
    left out, where they are those of who is erased.

    Args:
        file: A Parquet file.
        found: What is to go from it.

    Raises:
        FileFormatError: If it cannot be read.
        OSError, StorageError: If it cannot be written.
    """
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
    with (
        writing(file.place) as stream,
        open_stored_parquet(file.place) as source,
    ):
        schema = source.schema_arrow
        schema = schema.with_metadata(_facts_without(dict(schema.metadata or {}), file, found))
        with parquet.ParquetWriter(stream, schema, compression=_codec(source)) as writer:
            for table in _tables(source, file, found.rows):
                table = table.replace_schema_metadata(schema.metadata)
                writer.write_table(table, row_group_size=max(1, table.num_rows))


def _facts_without(
    metadata: dict[bytes, bytes], file: ArchiveFile, found: FoundRows
) -> dict[bytes, bytes] | None:
    """The metadata of a file without what it says of rows that are to go."""
    if _FACTS not in metadata:
        return metadata or None
    with reading(file.name, "what became of its images"):
        facts = json.loads(metadata[_FACTS])
    names = [_named(str(name)) for name in found.people]

    def is_gone(image: str) -> bool:
        return image in found.images or any(name.search(image) for name in names)

    facts["num_rows"] = file.num_rows - len(found.rows)
    facts["skipped"] = [
        each for each in facts.get("skipped", ()) if not is_gone(str(each.get("source", "")))
    ]
    facts["examples"] = {
        kind: [each for each in listed if not is_gone(str(each))]
        for kind, listed in facts.get("examples", {}).items()
    }
    return metadata | {_FACTS: json.dumps(facts).encode()}


def _named(name: str) -> re.Pattern[str]:
    """Finds a person's name as a whole folder, or as a file's name without its ending, in the name of an image."""
    return re.compile(rf"(^|[/\\:!]){re.escape(name)}($|[/\\:!#]|\.\w+($|#))")


def _codec(source: Any) -> str:
    metadata = source.metadata
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    name = str(metadata.row_group(0).column(0).compression).lower()
    return "none" if name == "uncompressed" else name


def _tables(source: Any, file: ArchiveFile, gone: Numbers) -> Iterator[Any]:
    arrow = import_extra("pyarrow", extra="data", purpose="writing Parquet files")
    start = 0
    for index in range(source.metadata.num_row_groups):
        with reading_parquet(file.name):
            table = source.read_row_group(index)
        kept = np.ones(table.num_rows, bool)
        first, last = np.searchsorted(gone, [start, start + table.num_rows])
        kept[gone[first:last] - start] = False
        start += table.num_rows
        if not kept.all():
            table = table.filter(arrow.array(kept))
        if table.num_rows:
            yield table
