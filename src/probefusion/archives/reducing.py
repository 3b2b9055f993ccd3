"""Adds up the partial results of a bucket of people: the second of the three functions that every engine runs.

A bucket is read twice: once to know its people, once to add. Sums are added from left to right in the order of the
files and their chunks, so the result is the same bits whoever does it, and when.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.encoding import image_set, one_thread, states_of, templates_of
from probefusion.archives.ids import group_ids
from probefusion.archives.judging import NOT_LOOKED_AT, judge
from probefusion.archives.manifest import RunSettings
from probefusion.archives.partials import Partials, People, open_partials, writing_partials
from probefusion.archives.sampling import MOST_LOOKED_AT, taken
from probefusion.archives.storage import exists, shown_place
from probefusion.errors import IntegrityError, ShapeError
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser

__all__ = ["ReduceTask", "ReduceWork", "Source", "bytes_a_person"]

_FEATURES = ("embeddings", "style", "quality")

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of partial results.

    Args:
        place: The file.
        offset: Number of the first row of the archive file that it was made of.
        is_stored: Whether it holds stored states, of one bucket; otherwise all buckets follow each other, chunk by
            chunk.
    """

    place: str
    offset: int = 0
    is_stored: bool = False


@dataclass(frozen=True, kw_only=True)
class ReduceTask:
    """One bucket.

    Args:
        bucket: Its number.
        stored: Stored states of the bucket that are added to; None without.
        output: Where the result goes.
    """

    bucket: int
    stored: str | None
    output: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ReduceWork:
    """Adds up buckets.

    Args:
        fuser: The fuser.
        settings: What the partial results were made with.
        sources: In the order in which they are added.
        memory: Bytes for the states and rows that are held at the same time.
        keeps_states: Whether states, and the rows that were looked at, stand in the result.
    """

    fuser: Fuser
    settings: RunSettings
    sources: tuple[Source, ...]
    memory: int
    keeps_states: bool

    def open(self) -> Callable[[ReduceTask], None]:
        """Called once in each worker."""
        fuser = one_thread(self.fuser)
        return lambda task: self._run(fuser, task)

    def _run(self, fuser: Fuser, task: ReduceTask) -> None:
        if exists(task.output):  # an engine may give a task twice
            return
        stored = () if task.stored is None else (Source(place=task.stored, is_stored=True),)
        entries = list(self._entries((*stored, *self.sources), task.bucket))
        bucket = _Bucket.of(entries)
        count = len(bucket.ids)
        steps = min(count, math.ceil(count * bytes_a_person(self.settings) / self.memory))
        with writing_partials(task.output) as writer:
            if not count:
                writer.write(Partials.of_nobody(self.settings.state_width))
            for step in range(steps):
                span = range(count * step // steps, count * (step + 1) // steps)
                group = _Group(bucket, span, self, fuser)
                for entry, part in _read_again(bucket.entries):
                    group.add(entry, part)
                writer.write(group.finished())

    def _entries(self, sources: tuple[Source, ...], bucket: int) -> Iterator[_Entry]:
        """The bucket's batches, without their states and rows."""
        for source in sources:
            with open_partials(source.place) as file:
                step = 1 if source.is_stored else self.settings.num_buckets
                for index in range(0 if source.is_stored else bucket, file.num_batches, step):
                    people = file.people(index)
                    _check_bucket(people, bucket, self.settings.num_buckets, source.place)
                    if len(people.ids):
                        yield _Entry(source, index, people, np.zeros(0, np.int64))


def _check_bucket(people: People, bucket: int, num_buckets: int, place: str) -> None:
    """Refuses people of another bucket: a file of states stands in another's place.

    Raises:
        IntegrityError: If there are any.
    """
    if not len(people.ids):
        return
    width = (1 << 64) // num_buckets
    found = {min(int(edge) // width, num_buckets - 1) for edge in people.hashes[[0, -1]]}
    if found != {bucket}:
        raise IntegrityError(
            f"{in_one_line(shown_place(place))}: expected people of bucket {bucket}, got some of bucket {max(found)}. "
            f"Put the right file there, or make the states anew from all files: --keep-states."
        )


def bytes_a_person(settings: RunSettings) -> int:
    """What a person takes while it is added up: its state twice, and the rows that are looked at."""
    looked_at = MOST_LOOKED_AT * settings.row_bytes if settings.screening else 0
    return 2 * 8 * settings.state_width + looked_at


class _Entry(NamedTuple):
    """A batch of partial results, and the numbers that its people have in the bucket, ascending."""

    source: Source
    batch: int
    people: People
    places: Numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bucket:
    """The P people of a bucket, by the hashes of their ids.

    Args:
        entries: Where their partial results stand, in the order in which they are added.
        ids: (P,)
        hashes: (P,) uint64.
        first: (P,) number of each one's first row.
        num_images: (P,)
        is_new: (P,) whether there is more of them than what was stored.
    """

    entries: tuple[_Entry, ...]
    ids: npt.NDArray[Any]
    hashes: npt.NDArray[np.uint64]
    first: Numbers
    num_images: Numbers
    is_new: npt.NDArray[np.bool_]

    @staticmethod
    def of(entries: list[_Entry]) -> _Bucket:
        """Brings the people of all entries together."""
        nothing = np.zeros(0, np.int64)
        if not entries:
            return _Bucket(
                entries=(),
                ids=nothing,
                hashes=nothing.astype(np.uint64),
                first=nothing,
                num_images=nothing,
                is_new=nothing.astype(bool),
            )
        ids = np.concatenate([entry.people.ids for entry in entries])
        groups = group_ids(ids, np.concatenate([entry.people.hashes for entry in entries]))
        firsts = np.concatenate([entry.people.first + entry.source.offset for entry in entries])
        counts = np.concatenate([entry.people.num_images for entry in entries])
        sizes = [len(entry.people.ids) for entry in entries]
        is_new = np.repeat([not entry.source.is_stored for entry in entries], sizes)
        begins = groups.borders[:-1]
        places = np.split(groups.places, np.cumsum(sizes)[:-1])
        return _Bucket(
            entries=tuple(
                entry._replace(places=own) for entry, own in zip(entries, places, strict=True)
            ),
            ids=ids[groups.firsts],
            hashes=groups.hashes,
            first=np.minimum.reduceat(firsts[groups.order], begins),
            num_images=np.add.reduceat(counts[groups.order], begins),
            is_new=np.logical_or.reduceat(is_new[groups.order], begins),
        )


def _read_again(entries: tuple[_Entry, ...]) -> Iterator[tuple[int, Partials]]:
    """All batches with their states and rows; a file is opened once for those that follow each other."""
    place = 0
    while place < len(entries):
        source = entries[place].source
        with open_partials(source.place) as file:
            while place < len(entries) and entries[place].source == source:
                yield place, file.read(entries[place].batch)
                place += 1


class _Group:
    """People of a bucket whose states are held at the same time."""

    def __init__(self, bucket: _Bucket, span: range, work: ReduceWork, fuser: Fuser) -> None:
        self._bucket, self._span, self._work, self._fuser = bucket, span, work, fuser
        self._people = slice(span.start, span.stop)
        count, settings = len(span), work.settings
        self._states = np.zeros((count, settings.state_width))
        self._templates = np.zeros((count, settings.dim), np.float32)
        self._codes = np.full(count, NOT_LOOKED_AT, np.int8)
        self._lighter = np.zeros(count, np.float32)
        self._rows: dict[str, npt.NDArray[Any] | None] = dict.fromkeys(_FEATURES)
        self._borders = np.zeros(count + 1, np.int64)
        self._taken: list[tuple[Numbers, Numbers]] = []
        if settings.screening:
            self._choose_rows()

    def _choose_rows(self) -> None:
        """Settles which rows of which entry are looked at, and where they go."""
        spans = [self._inside(entry.places) for entry in self._bucket.entries]
        parts = list(zip(self._bucket.entries, spans, strict=True))
        people = np.concatenate([entry.places[span] for entry, span in parts]) - self._span.start
        counts = np.concatenate([entry.people.num_images[span] for entry, span in parts])
        kept = np.concatenate([entry.people.row_counts[span] for entry, span in parts])
        owners, rows, goals, self._borders = taken(people, counts, kept)
        edges = np.cumsum([0] + [span.stop - span.start for span in spans])
        cuts = np.searchsorted(owners, edges)
        for number in range(len(parts)):
            chosen = slice(cuts[number], cuts[number + 1])
            own_kept = kept[edges[number] : edges[number + 1]]
            begins = np.cumsum(own_kept) - own_kept
            self._taken.append(
                (begins[owners[chosen] - edges[number]] + rows[chosen], goals[chosen])
            )

    def _inside(self, places: Numbers) -> slice:
        start, stop = np.searchsorted(places, [self._span.start, self._span.stop])
        return slice(int(start), int(stop))

    def add(self, number: int, whole: Partials) -> None:
        """Adds what an entry holds of these people."""
        entry = self._bucket.entries[number]
        span = self._inside(entry.places)
        part = whole.part(span.start, span.stop)
        if not len(part):
            return
        people = entry.places[span] - self._span.start
        self._states[people[part.has_state]] += part.states
        is_rows = ~part.has_state
        begins = np.cumsum(part.row_counts) - part.row_counts
        self._states[people[is_rows]] += states_of(
            part, None, begins[is_rows], part.row_counts[is_rows], self._fuser, self._work.settings
        )
        if entry.source.is_stored:
            self._templates[people] = part.extra["template"]
            self._codes[people] = part.extra["verdict"]
            self._lighter[people] = part.extra["lighter"]
        if self._taken:
            self._keep(part, *self._taken[number])

    def _keep(self, part: Partials, rows: Numbers, goals: Numbers) -> None:
        for name in _FEATURES:
            found = getattr(part, name)
            if found is None:
                continue
            whole = self._rows[name]
            if whole is None:
                whole = np.zeros((self._borders[-1], *found.shape[1:]), found.dtype)
            if whole.shape[1:] != found.shape[1:]:
                raise ShapeError(
                    f"{name}: expected rows of one shape in all files, got {whole.shape[1:]} and {found.shape[1:]}."
                )
            whole = whole.astype(np.result_type(whole, found), copy=False)
            whole[goals] = found[rows]
            self._rows[name] = whole

    def finished(self) -> Partials:
        """Templates, verdicts and, where they are kept, states and rows."""
        bucket, settings = self._bucket, self._work.settings
        ids, is_new = bucket.ids[self._people], bucket.is_new[self._people]
        self._templates[is_new] = templates_of(
            self._states[is_new], ids[is_new], self._fuser, settings
        )
        count = len(ids)
        kept = Partials(
            ids=ids,
            hashes=bucket.hashes[self._people],
            first=bucket.first[self._people],
            num_images=bucket.num_images[self._people],
            has_state=np.ones(count, bool),
            states=self._states,
            row_counts=np.diff(self._borders),
            embeddings=self._kept_embeddings(),
            style=self._rows["style"],
            quality=self._rows["quality"],
            extra={},
        )
        if settings.screening:
            self._judge(kept, is_new)
        extra: dict[str, npt.NDArray[Any]] = {
            "template": self._templates,
            "verdict": self._codes,
            "lighter": self._lighter,
        }
        if self._work.keeps_states:
            return replace(kept, extra=extra)
        return replace(
            kept,
            has_state=np.zeros(count, bool),
            states=self._states[:0],
            row_counts=np.zeros(count, np.int64),
            embeddings=kept.embeddings[:0],
            style=None,
            quality=None,
            extra=extra,
        )

    def _kept_embeddings(self) -> npt.NDArray[Any]:
        rows = self._rows["embeddings"]
        return np.zeros((0, self._work.settings.dim), np.float32) if rows is None else rows

    def _judge(self, kept: Partials, is_new: npt.NDArray[np.bool_]) -> None:
        places = np.flatnonzero(is_new)
        counts = kept.row_counts[places]
        borders = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(self._borders[places] - borders[:-1], counts) + np.arange(borders[-1])
        if len(rows):
            images = image_set(kept, rows, self._work.settings)
            codes, lighter = judge(images, borders, self._fuser)
            self._codes[places], self._lighter[places] = codes, lighter
