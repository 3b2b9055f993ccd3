"""What is known of the people of a bucket, entry by entry, without their states and rows.

Stored states lie in layers: a bucket's file of the first run, and behind it one of each addition, which holds the whole
new record of everybody to whom something was added. The last record of a person holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.files.storage import shown_place
from probefusion.archives.partials.partials import Partials, People, open_partials
from probefusion.archives.rows.ids import group_ids
from probefusion.errors import IntegrityError
from probefusion.files.reading import in_one_line

__all__ = ["Bucket", "Entry", "Source", "hashes_of", "new_entries", "read_again", "stored_entries"]

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


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


class Entry(NamedTuple):
    """People of a batch of partial results.

    Attributes:
        source: The file.
        batch: Number of the batch.
        people: The people.
        picks: (k,) their numbers in the batch, ascending; None if they are all of it.
        places: (k,) their numbers in the bucket, ascending.
    """

    source: Source
    batch: int
    people: People
    picks: Numbers | None
    places: Numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Bucket:
    """The P people of a bucket, by the hashes of their ids.

    Args:
        entries: Where their partial results stand, in the order in which they are added.
        ids: (P,)
        hashes: (P,) uint64.
        first: (P,) number of each one's first row.
        num_images: (P,)
        is_new: (P,) whether there is more of them than what was stored.
    """

    entries: tuple[Entry, ...]
    ids: npt.NDArray[Any]
    hashes: Hashes
    first: Numbers
    num_images: Numbers
    is_new: npt.NDArray[np.bool_]

    @staticmethod
    def of(entries: Sequence[Entry]) -> Bucket:
        """Brings the people of all entries together."""
        nothing = np.zeros(0, np.int64)
        if not entries:
            return Bucket(
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
        return Bucket(
            entries=tuple(
                entry._replace(places=own) for entry, own in zip(entries, places, strict=True)
            ),
            ids=ids[groups.firsts],
            hashes=groups.hashes,
            first=np.minimum.reduceat(firsts[groups.order], begins),
            num_images=np.add.reduceat(counts[groups.order], begins),
            is_new=np.logical_or.reduceat(is_new[groups.order], begins),
        )


def new_entries(sources: Sequence[Source], bucket: int, num_buckets: int) -> Iterator[Entry]:
    """The bucket's batches of the chunks of files."""
    for source in sources:
        with open_partials(source.place) as file:
            for index in range(bucket, file.num_batches, num_buckets):
                people = file.people(index)
                _check_bucket(people, bucket, num_buckets, source.place)
                if len(people.ids):
                    yield Entry(source, index, people, None, np.zeros(0, np.int64))


def stored_entries(
    layers: Sequence[str], bucket: int, num_buckets: int, wanted: Hashes | None = None
) -> list[Entry]:
    """The last record of everybody of a bucket, or of some of them.

    Args:
        layers: The bucket's files, the oldest first.
        bucket: Its number.
        num_buckets: Buckets in all.
        wanted: Hashes of those who are wanted, ascending; None for all. Who shares a hash with them comes too.

    Raises:
        IntegrityError: If a file is of another bucket, or not what was written.
    """
    found: list[Entry] = []
    for place in layers:
        source = Source(place=place, is_stored=True)
        with open_partials(place) as file:
            for index in range(file.num_batches):
                people = file.people(index)
                _check_bucket(people, bucket, num_buckets, place)
                picks = None
                if wanted is not None:
                    picks = np.flatnonzero(_is_in(people.hashes, wanted))
                    people = people.some(picks)
                if len(people.ids):
                    found.append(Entry(source, index, people, picks, np.zeros(0, np.int64)))
    return found if len({entry.source for entry in found}) < 2 else _last_of(found)


def hashes_of(entries: Sequence[Entry]) -> Hashes:
    """Hashes of all their people, ascending, each once."""
    parts = [entry.people.hashes for entry in entries]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)


def read_again(entries: Sequence[Entry]) -> Iterator[tuple[int, Partials]]:
    """All entries with their states and rows; a file is opened once for those that follow each other."""
    place = 0
    while place < len(entries):
        source = entries[place].source
        with open_partials(source.place) as file:
            while place < len(entries) and entries[place].source == source:
                entry = entries[place]
                if entry.picks is None:
                    yield place, file.read(entry.batch)
                else:
                    yield place, file.read_some(entry.batch, entry.picks)
                place += 1


def _last_of(entries: list[Entry]) -> list[Entry]:
    """The same without the records that a later one replaces."""
    ids = np.concatenate([entry.people.ids for entry in entries])
    groups = group_ids(ids, np.concatenate([entry.people.hashes for entry in entries]))
    is_last = np.zeros(len(ids), bool)
    is_last[groups.order[groups.borders[1:] - 1]] = True
    kept = []
    start = 0
    for entry in entries:
        stop = start + len(entry.people.ids)
        chosen = np.flatnonzero(is_last[start:stop])
        start = stop
        if len(chosen) == len(entry.people.ids):
            kept.append(entry)
        elif len(chosen):
            picks = chosen if entry.picks is None else entry.picks[chosen]
            kept.append(entry._replace(people=entry.people.some(chosen), picks=picks))
    return kept


def _is_in(hashes: Hashes, wanted: Hashes) -> npt.NDArray[np.bool_]:
    if not len(wanted):
        return np.zeros(len(hashes), bool)
    places = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
    return wanted[places] == hashes  # type: ignore[no-any-return]


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
