"""Adds up the partial results of a bucket of people: the second of the three functions that every engine runs.

A bucket is read twice: once to know its people, once to add. Sums are added from left to right in the order of the
files and their chunks, so the result is the same bits whoever does it, and when.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import exists
from probefusion.archives.fusing.judging import NOT_LOOKED_AT, judge
from probefusion.archives.manifest import RunSettings
from probefusion.archives.partials.bucket_entries import (
    Bucket,
    Entry,
    Source,
    hashes_of,
    new_entries,
    read_again,
    stored_entries,
)
from probefusion.archives.partials.encoding import (
    image_set,
    one_thread,
    states_of,
    templates_of,
    usability_of,
)
from probefusion.archives.partials.partial_records import FEATURES
from probefusion.archives.partials.partials import Partials, writing_partials
from probefusion.archives.partials.sampling import MOST_LOOKED_AT, taken
from probefusion.errors import ShapeError
from probefusion.fusion import Fuser
from probefusion.screening.usability_record import UsabilityRecord

__all__ = ["ReduceTask", "ReduceWork", "Source", "bytes_a_person"]

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ReduceTask:
    """One bucket.

    Args:
        bucket: Its number.
        stored: Files of stored states of the bucket that are added to, the oldest first; none without.
        is_layer: Whether the result holds only whom something is added to, as one more layer over these.
        output: Where the result goes.
    """

    bucket: int
    stored: tuple[str, ...]
    output: str
    is_layer: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ReduceWork:
    """Adds up buckets.

    Args:
        fuser: The fuser.
        settings: What the partial results were made with.
        sources: In the order in which they are added.
        memory: Bytes for the states and rows that are held at the same time.
        keeps_states: Whether states, and the rows that were looked at, stand in the result.
        usability: What was measured of templates by this fuser; None where nothing was.
    """

    fuser: Fuser
    settings: RunSettings
    sources: tuple[Source, ...]
    memory: int
    keeps_states: bool
    usability: UsabilityRecord | None = None

    def open(self) -> Callable[[ReduceTask], None]:
        """Called once in each worker."""
        fuser = one_thread(self.fuser)
        return lambda task: self._run(fuser, task)

    def _run(self, fuser: Fuser, task: ReduceTask) -> None:
        if exists(task.output):  # an engine may give a task twice
            return
        num_buckets = self.settings.num_buckets
        fresh = list(new_entries(self.sources, task.bucket, num_buckets))
        wanted = hashes_of(fresh) if task.is_layer else None
        stored = stored_entries(task.stored, task.bucket, num_buckets, wanted)
        bucket = Bucket.of([*stored, *fresh])
        count = len(bucket.ids)
        steps = min(count, math.ceil(count * bytes_a_person(self.settings) / self.memory))
        with writing_partials(task.output) as writer:
            if not count:
                writer.write(Partials.of_nobody(self.settings.state_width))
            for step in range(steps):
                span = range(count * step // steps, count * (step + 1) // steps)
                group = _Group(bucket, span, self, fuser)
                for entry, part in read_again(bucket.entries):
                    group.add(entry, part)
                writer.write(group.finished())


def bytes_a_person(settings: RunSettings) -> int:
    """What a person takes while it is added up: its state twice, and the rows that are looked at."""
    looked_at = MOST_LOOKED_AT * settings.row_bytes if settings.screening else 0
    return 2 * 8 * settings.state_width + looked_at


class _Group:
    """People of a bucket whose states are held at the same time."""

    def __init__(self, bucket: Bucket, span: range, work: ReduceWork, fuser: Fuser) -> None:
        self._bucket, self._span, self._work, self._fuser = bucket, span, work, fuser
        self._people = slice(span.start, span.stop)
        count, settings = len(span), work.settings
        self._states = np.zeros((count, settings.state_width))
        self._templates = np.zeros((count, settings.dim), np.float32)
        self._codes = np.full(count, NOT_LOOKED_AT, np.int8)
        self._lighter = np.zeros(count, np.float32)
        self._rows: dict[str, npt.NDArray[Any] | None] = dict.fromkeys(FEATURES)
        self._borders = np.zeros(count + 1, np.int64)
        self._taken: list[tuple[Numbers, Numbers]] = []
        self._is_judged = np.zeros(count, bool)
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
        self._note_same(parts, people, kept, owners)
        edges = np.cumsum([0] + [span.stop - span.start for span in spans])
        cuts = np.searchsorted(owners, edges)
        for number in range(len(parts)):
            chosen = slice(cuts[number], cuts[number + 1])
            own_kept = kept[edges[number] : edges[number + 1]]
            begins = np.cumsum(own_kept) - own_kept
            self._taken.append(
                (begins[owners[chosen] - edges[number]] + rows[chosen], goals[chosen])
            )

    def _note_same(
        self, parts: list[tuple[Entry, slice]], people: Numbers, kept: Numbers, owners: Numbers
    ) -> None:
        """Notes of whom the same rows are looked at as when they were stored: what was said of them holds.

        Args:
            parts: Entries, and which of their people are of this group.
            people: (e,) for each person of an entry the number in the group.
            kept: (e,) rows that were kept of it.
            owners: For each row that is taken, whose it is among the e.
        """
        sizes = [span.stop - span.start for _, span in parts]
        is_stored = np.repeat([entry.source.is_stored for entry, _ in parts], sizes)
        count = len(self._span)
        before = np.bincount(people[is_stored], kept[is_stored], count)
        again = np.bincount(people[owners], is_stored[owners], count)
        in_all = np.bincount(people[owners], minlength=count)
        self._is_judged = (before > 0) & (before == again) & (again == in_all)

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
        for name in FEATURES:
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
            self._judge(kept, is_new & ~self._is_judged)
        extra: dict[str, npt.NDArray[Any]] = {
            "template": self._templates,
            "verdict": self._codes,
            "lighter": self._lighter,
        }
        if self._work.usability is not None:
            extra["usability"] = usability_of(
                self._states, kept.num_images, self._work.usability, settings
            )
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

    def _judge(self, kept: Partials, wanted: npt.NDArray[np.bool_]) -> None:
        places = np.flatnonzero(wanted)
        counts = kept.row_counts[places]
        borders = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(self._borders[places] - borders[:-1], counts) + np.arange(borders[-1])
        if len(rows):
            images = image_set(kept, rows, self._work.settings)
            codes, lighter = judge(images, borders, self._fuser)
            self._codes[places], self._lighter[places] = codes, lighter
