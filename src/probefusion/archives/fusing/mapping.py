"""Maps ranges of rows to partial results: the first of the three functions that every engine runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.file_digest import is_same_file
from probefusion.archives.files.storage import exists, is_folder, is_url, stored_file
from probefusion.archives.manifest import MapTask, RunSettings
from probefusion.archives.partials.encoding import are_unit, image_set, one_thread, states_of
from probefusion.archives.partials.partials import Partials, writing_partials
from probefusion.archives.partials.sampling import is_kept
from probefusion.archives.rows.archive import UNREADABLE, ArchiveRows, RowReader
from probefusion.archives.rows.ids import Groups, as_stored, bucket_borders, group_ids, hash_ids
from probefusion.errors import FileFormatError, ShapeError
from probefusion.files.reading import in_one_line, reason_of
from probefusion.fusion import Fuser

__all__ = ["MapWork", "Mapped", "chunk_partials"]

_ROWS_READ = 4096


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """What came of a task.

    Args:
        num_rows: Rows it read.
        failure: Why its file cannot be read; None if it can.
    """

    num_rows: int
    failure: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MapWork:
    """Reads chunks of a file and writes what they add to whom.

    Args:
        reader: Reads the file.
        fuser: An exact fuser.
        settings: What the result depends on.
    """

    reader: RowReader
    fuser: Fuser
    settings: RunSettings

    def open(self) -> Callable[[MapTask], Mapped]:
        """Called once in each worker."""
        fuser = one_thread(self.fuser)

        def run(task: MapTask) -> Mapped:
            if exists(task.output):  # an engine may give a task twice
                return Mapped(num_rows=task.borders[-1] - task.borders[0])
            try:
                return self._run(fuser, task)
            except _Unreadable as error:
                return Mapped(num_rows=0, failure=reason_of(error.args[0]))

        return run

    def _run(self, fuser: Fuser, task: MapTask) -> Mapped:
        widths: dict[str, tuple[int, ...]] = {}
        with writing_partials(task.output) as writer:
            for start, stop in pairwise(task.borders):
                rows = self._read(fuser, task, start, stop, widths)
                part = chunk_partials(rows, fuser, self.settings)
                cuts = bucket_borders(part.hashes, self.settings.num_buckets).tolist()
                for begin, end in pairwise(cuts):
                    writer.write(part.part(begin, end))
            _check_unchanged(task)
        return Mapped(num_rows=task.borders[-1] - task.borders[0])

    def _read(
        self,
        fuser: Fuser,
        task: MapTask,
        start: int,
        stop: int,
        widths: dict[str, tuple[int, ...]],
    ) -> ArchiveRows:
        """The rows of a chunk, each checked; messages name file and row."""
        chunk: ArchiveRows | None = None
        columns = frozenset({"embedding", "style", "quality"})
        ids, done = [], 0
        for begin, part in _readable(
            self.reader.parts(task.place, start, stop, _ROWS_READ, columns)
        ):
            rows = self.reader.decoded(begin, part, task.name)
            origin = f"{in_one_line(task.name)}, counted from row {begin}"
            fuser.check_fits(image_set(rows, slice(None), self._for(rows), origin))
            _check_widths(rows, self.settings, widths, origin)
            ids.append(as_stored(rows.ids, self.settings.id_kind, task.name))
            _refuse_nobody(ids[-1], self.reader.by, origin)
            chunk = chunk or _room_for(rows, stop - start)
            _fill(chunk, rows, done, origin)
            done += len(rows.ids)
        if chunk is None or done != stop - start:
            raise _Unreadable(FileFormatError(f"holds {done} of {stop - start} rows"))
        return replace(chunk, start=start, ids=np.concatenate(ids))

    def _for(self, rows: ArchiveRows) -> RunSettings:
        """The settings, told anew whether lengths are known where that was told by the first rows of the first file.

        Where images are weighed by length, rows that are all of length 1 are refused wherever they stand.
        """
        settings = self.settings
        if self.fuser.needs_norms and settings.norms_seen and are_unit(rows.embeddings):
            return replace(settings, norms_known=False)
        return settings


def _refuse_nobody(ids: npt.NDArray[Any], by: str, origin: str) -> None:
    """Refuses rows of nobody, as missing values are refused: a text without a letter is no person.

    Raises:
        FileFormatError: If there are any.
    """
    if ids.dtype.kind != "U":
        return
    nobody = np.flatnonzero((ids == "") | np.char.isspace(ids))
    if nobody.size:
        raise FileFormatError(
            f"row {nobody[0]} of {origin}: expected the name of a person in {by!r}, got an empty text ({nobody.size} "
            f"such rows). Leave out the rows of whom nobody knows, or name them."
        )


def _check_widths(
    rows: ArchiveRows, settings: RunSettings, widths: dict[str, tuple[int, ...]], origin: str
) -> None:
    """Refuses rows of another length than those before; lists may be of another length in every row group.

    Args:
        rows: The rows.
        settings: Say how long embeddings are.
        widths: Shapes of the rows of the task's file so far; what is new is noted there.
        origin: Where the rows were read.

    Raises:
        ShapeError: If they are.
    """
    widths.setdefault("embeddings", (settings.dim,))
    for name, part in (("embeddings", rows.embeddings), ("style", rows.style)):
        if part is not None and widths.setdefault(name, part.shape[1:]) != part.shape[1:]:
            raise ShapeError(
                f"{name} of {origin}: expected rows of shape {widths[name]}, as in those before, got {part.shape[1:]}."
            )


def _check_unchanged(task: MapTask) -> None:
    """Refuses a file, or arrays, of this machine that were written anew or replaced since the run was planned.

    Raises:
        _Unreadable: If it was.
    """
    try:
        is_same = is_same_file(task.place, task.stamp)
        if not is_url(task.place) and not is_folder(task.place):
            now = stored_file(task.place)
            is_same = is_same and (now.size, now.tag) == (task.size, task.tag)
    except (*UNREADABLE, OSError) as error:
        raise _Unreadable(error) from error
    if not is_same:
        raise _Unreadable(FileFormatError("was changed since the run began"))


class _Unreadable(Exception):  # noqa: N818 - carries the error of a file out of the block that writes
    """A file that cannot be read."""


def _readable(parts: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """The same; what a file raises that cannot be read gets a type of its own."""
    while True:
        try:
            found = next(parts, None)
        except UNREADABLE as error:
            raise _Unreadable(error) from error
        if found is None:
            return
        yield found


def _room_for(rows: ArchiveRows, count: int) -> ArchiveRows:
    """Arrays for all rows of a chunk, of the shapes and types of its first ones."""
    arrays = {
        name: None
        if (first := getattr(rows, name)) is None
        else np.empty((count, *first.shape[1:]), first.dtype)
        for name in ("embeddings", "style", "quality")
    }
    return ArchiveRows(start=rows.start, ids=rows.ids, **arrays)  # type: ignore[arg-type]


def _fill(chunk: ArchiveRows, rows: ArchiveRows, done: int, origin: str) -> None:
    """Puts rows into the arrays of their chunk, behind those that are there.

    Raises:
        ShapeError: If they are longer or shorter than those.
    """
    for name in ("embeddings", "style", "quality"):
        whole, piece = getattr(chunk, name), getattr(rows, name)
        if whole is None:
            continue
        if whole.shape[1:] != piece.shape[1:]:
            raise ShapeError(
                f"{name} of {origin}: expected rows of shape {whole.shape[1:]}, got {piece.shape[1:]}."
            )
        whole[done : done + len(piece)] = piece


def chunk_partials(rows: ArchiveRows, fuser: Fuser, settings: RunSettings) -> Partials:
    """Partial results of a chunk, people ordered by the hashes of their ids.

    Args:
        rows: Valid rows.
        fuser: An exact fuser, of one thread.
        settings: What the result depends on.
    """
    groups = group_ids(rows.ids, hash_ids(rows.ids))
    counts = np.diff(groups.borders)
    has_state = counts > settings.rows_up_to
    kept = _kept_rows(groups, has_state, is_wanted=settings.screening)
    row_counts = (
        np.add.reduceat(kept.astype(np.int64), groups.borders[:-1]) if len(kept) else counts
    )
    chosen = groups.order[kept]
    return Partials(
        ids=rows.ids[groups.firsts],
        hashes=groups.hashes,
        first=groups.firsts + rows.start,
        num_images=counts,
        has_state=has_state,
        states=states_of(
            rows,
            groups.order,
            groups.borders[:-1][has_state],
            counts[has_state],
            fuser,
            settings,
        ),
        row_counts=row_counts,
        embeddings=rows.embeddings[chosen],
        style=None if rows.style is None else rows.style[chosen],
        quality=None if rows.quality is None else rows.quality[chosen],
        extra={},
    )


def _kept_rows(
    groups: Groups, has_state: npt.NDArray[np.bool_], *, is_wanted: bool
) -> npt.NDArray[np.bool_]:
    """Which of the ordered rows are kept: all of those without a state, and some of the others to be looked at."""
    counts = np.diff(groups.borders)
    kept = np.repeat(~has_state, counts)
    if is_wanted:
        places = np.arange(len(kept)) - np.repeat(groups.borders[:-1], counts)
        kept |= is_kept(places, np.repeat(counts, counts))
    return kept
