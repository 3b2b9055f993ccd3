"""What a task makes of the rows it read: of each person either the sums of the rows or the rows themselves.

A file of partials is an Arrow file (Feather). It holds `num_buckets` record batches for each chunk of rows, people
sorted by the hashes of their ids. Columns:

    id            integer or text
    hash          of the id, unsigned
    first         number of the person's first row
    num_images    rows of the person
    state         mass, sums and style sums, float64, one after the other; empty where the rows stand for themselves
    rows          how many rows follow: all of them, or those that are looked at when screening
    embeddings, style, quality    of those rows, as stored

Every batch carries checksums (CRC-32), which are compared when it is read:
`probefusion.archives.partials.partial_batches`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import is_url, open_file, writing
from probefusion.archives.partials.partial_batches import (
    APART,
    EACH,
    OF_PEOPLE,
    OF_ROWS,
    OF_TEMPLATES,
    each_checksum,
    from_arrow,
    people_checksum,
    people_of,
    rows_checksum,
    templates_checksum,
    templates_in,
    to_arrow,
)
from probefusion.archives.partials.partial_records import FEATURES, Partials, People
from probefusion.errors import IntegrityError
from probefusion.extras import import_extra
from probefusion.files import check_file
from probefusion.files.reading import in_one_line, reading

__all__ = ["PartialFile", "Partials", "People", "open_partials", "writing_partials"]

_PURPOSE = "fusing archives"
_STEP = "Delete the file, and give the command again."

Numbers = npt.NDArray[np.int64]


class PartialWriter:
    """Writes batches of partials into one file; all of the same columns.

    Attributes:
        has_written: Whether there is a batch.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.has_written = False
        self._writer: Any = None

    def write(self, part: Partials) -> None:
        """Writes one batch."""
        arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
        batch, sums = to_arrow(arrow, part)
        if self._writer is None:
            self._writer = arrow.ipc.new_file(self._stream, batch.schema)
        self._writer.write_batch(batch, custom_metadata=sums)
        self.has_written = True

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def writing_partials(place: str) -> Iterator[PartialWriter]:
    """A writer for a file that appears when the block ends."""
    with writing(place) as stream:
        writer = PartialWriter(stream)
        yield writer
        writer.close()


class PartialFile:
    """An open file of partials.

    Attributes:
        num_batches: Batches of it.
    """

    def __init__(self, stream: Any, place: str) -> None:
        self._arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
        self._stream, self._place = stream, place
        with self._reading():
            self._reader = self._arrow.ipc.open_file(stream)
            shapes = self._reader.schema.metadata or {}
            self._shapes = {key.decode(): value.decode() for key, value in shapes.items()}
            self._names = list(self._reader.schema.names)
            self.num_batches: int = self._reader.num_record_batches
        self._is_apart = APART in self._shapes
        rows = {"state", *FEATURES} | ({"template"} if self._is_apart else set())
        self._brief = self._with_columns(set(self._names) - rows)

    def _with_columns(self, wanted: set[str]) -> Any:
        """A reader of some columns, which reads no others."""
        chosen = [place for place, name in enumerate(self._names) if name in wanted]
        options = self._arrow.ipc.IpcReadOptions(included_fields=chosen)
        with self._reading():
            return self._arrow.ipc.open_file(self._stream, options=options)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(
            self._place,
            "a file of partial results",
            also=(self._arrow.ArrowException, LookupError),
            step=_STEP,
        )

    def people(self, index: int) -> People:
        """One batch without states, rows and templates, which are not read; its arrays are copies.

        Raises:
            IntegrityError: If it is not what was written.
            FileFormatError: If it cannot be read.
        """
        with self._reading():
            found = self._brief.get_batch_with_custom_metadata(index)
            people = people_of(found.batch)
            self._check_people(people, found.custom_metadata, index)
        hidden = (EACH, "template")
        extra = {name: part for name, part in people.extra.items() if name not in hidden}
        return people._replace(extra=extra).some(np.arange(len(people.ids)))

    def templates(self, index: int) -> npt.NDArray[np.float32]:
        """(p, D) the templates of a batch, of the people in their order; may be a view of the file.

        Raises:
            IntegrityError: If they are not what was written.
            FileFormatError: If they cannot be read.
        """
        if not self._is_apart:
            with self._reading():
                found = self._brief.get_batch_with_custom_metadata(index)
                people = people_of(found.batch)
                self._check_people(people, found.custom_metadata, index)
            return people.extra["template"]
        reader = self._with_columns({"template"})
        with self._reading():
            found = reader.get_batch_with_custom_metadata(index)
            templates = templates_in(found.batch)
            self._check(templates_checksum(templates), found.custom_metadata, OF_TEMPLATES, index)
        return templates

    def read(self, index: int) -> Partials:
        """One batch; its arrays may be views of the file.

        Raises:
            IntegrityError: If it is not what was written.
            FileFormatError: If it cannot be read.
        """
        with self._reading():
            part, each, metadata = self._whole(index)
            if self._is_apart:
                sums = templates_checksum(part.extra["template"])
                self._check(sums, metadata, OF_TEMPLATES, index)
            if each is None:
                self._check(rows_checksum(part), metadata, OF_ROWS, index)
            else:
                self._check_each(part, each, index)
        return part

    def read_some(self, index: int, places: Numbers) -> Partials:
        """Some people of a batch, as copies; the states and rows of others are not read, where that can be.

        Args:
            index: The batch.
            places: (k,) their numbers, ascending.

        Raises:
            IntegrityError: If they are not what was written.
            FileFormatError: If they cannot be read.
        """
        with self._reading():
            part, each, metadata = self._whole(index)
            chosen = part.chosen(places)
            if each is None:
                self._check(rows_checksum(part), metadata, OF_ROWS, index)
            else:
                self._check_each(chosen, each[places], index)
        return chosen

    def _whole(self, index: int) -> tuple[Partials, npt.NDArray[np.uint32] | None, Any]:
        """A batch of which the people were checked."""
        found = self._reader.get_batch_with_custom_metadata(index)
        part, each = from_arrow(found.batch)
        people = part.people
        if each is not None:
            people = people._replace(extra=people.extra | {EACH: each})
        self._check_people(people, found.custom_metadata, index)
        return part, each, found.custom_metadata

    def _check_people(self, people: People, metadata: Any, index: int) -> None:
        if self._is_apart:
            extra = {name: part for name, part in people.extra.items() if name != "template"}
            people = people._replace(extra=extra)
        shapes = self._shapes if self._is_apart else {}
        self._check(people_checksum(people, shapes), metadata, OF_PEOPLE, index)

    def _check_each(self, part: Partials, each: npt.NDArray[np.uint32], index: int) -> None:
        if not np.array_equal(each_checksum(part), each):
            self._refuse(index)

    def _check(self, found: str, metadata: Any, key: str, index: int) -> None:
        if dict(metadata or {}).get(key.encode(), b"") != found.encode():
            self._refuse(index)

    def _refuse(self, index: int) -> None:
        raise IntegrityError(
            f"{in_one_line(self._place)}: batch {index} is not what was written to it (another checksum). {_STEP}"
        )


@contextmanager
def open_partials(place: str) -> Iterator[PartialFile]:
    """Opens a file of partials; a path is mapped into memory.

    Raises:
        MissingFileError, StorageError: If it is not there, or cannot be reached.
        FileFormatError: If it is no such file.
    """
    if is_url(place):
        with open_file(place) as stream:
            yield PartialFile(stream, place)
        return
    arrow = import_extra("pyarrow", extra="data", purpose=_PURPOSE)
    path = check_file(Path(place))
    with reading(place, "a file of partial results", also=(arrow.ArrowException,), step=_STEP):
        mapped = arrow.memory_map(str(path))
    with mapped:
        yield PartialFile(mapped, place)
