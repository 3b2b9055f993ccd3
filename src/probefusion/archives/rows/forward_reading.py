"""Reads rows of a Parquet file from front to back, in ranges that follow each other: nothing is decoded twice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import accumulate
from typing import Any

from probefusion.archives.files.storage import stored_file
from probefusion.errors import ProbeFusionError
from probefusion.files.parquet import reading_parquet

__all__ = ["ForwardReading"]


class ForwardReading:
    """A file that is open, and how far it was read.

    Args:
        open_place: Opens the Parquet file at a path or url, told its bytes.
        place: The file.
        count: Most rows at a time.
        columns: Names of columns; those that the file does not have are left out.

    Raises:
        MissingFileError, FileFormatError, StorageError: If it cannot be read.
    """

    def __init__(
        self,
        open_place: Callable[[str, int], AbstractContextManager[Any]],
        place: str,
        count: int,
        columns: Sequence[str],
    ) -> None:
        self._asked = (place, count, tuple(columns))
        self._stored = stored_file(place)
        self._opened = ExitStack()
        self._file = self._opened.enter_context(open_place(place, self._stored.size))
        present = set(self._file.schema_arrow.names)
        self._columns = [name for name in columns if name in present]
        metadata = self._file.metadata
        counts = (metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
        self._borders = list(accumulate(counts, initial=0))
        self._batches: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._done = self._end = 0

    @property
    def is_inside(self) -> bool:
        """Whether the last range ended inside of a row group."""
        return self._done < self._end

    def goes_on(self, place: str, start: int, count: int, columns: Sequence[str]) -> bool:
        """Whether a range can be read from here on: of the same unchanged file, in the row group that was begun."""
        if self._asked != (place, count, tuple(columns)) or not self._done <= start < self._end:
            return False
        try:
            return stored_file(place) == self._stored
        except (ProbeFusionError, OSError):  # opening it anew tells
            return False

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Record batches of some rows, each with the number of its first one.

        Raises:
            FileFormatError, StorageError: If they cannot be read.
        """
        place = self._asked[0]
        stop = min(stop, self._borders[-1])
        while start < stop:
            if not self._done <= start < self._end:
                self._begin(start, stop)
            batch, self._waiting = self._waiting, None
            if batch is None:
                with reading_parquet(place):
                    batch = next(self._batches, None)
            if batch is None:
                return
            begin, end = self._done, self._done + batch.num_rows
            if end > stop:
                self._waiting = batch
            else:
                self._done = end
            if max(start, begin) < min(stop, end):
                part = batch.slice(max(start, begin) - begin, min(stop, end) - max(start, begin))
                with reading_parquet(place):
                    part.validate(full=True)
                yield max(start, begin), part
            start = max(start, min(stop, end))

    def close(self) -> None:
        """Lets go of the file."""
        self._batches, self._waiting = iter(()), None
        self._opened.close()

    def _begin(self, start: int, stop: int) -> None:
        """Goes to the row group that holds `start`, to read up to the one that holds the last row before `stop`."""
        first = bisect_right(self._borders, start) - 1
        behind = bisect_right(self._borders, stop - 1)
        with reading_parquet(self._asked[0]):
            self._batches = self._file.iter_batches(
                self._asked[1],
                row_groups=list(range(first, behind)),
                columns=self._columns,
                use_threads=False,
            )
        self._waiting = None
        self._done, self._end = self._borders[first], self._borders[behind]
