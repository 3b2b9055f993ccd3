"""Takes people and images out of stored states; who keeps some images gets a state anew, from their rows."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probefusion.archives.erasing.erased_rows import FoundRows
from probefusion.archives.files.storage import Place
from probefusion.archives.fusing.mapping import chunk_partials
from probefusion.archives.fusing.reducing import ReduceTask, ReduceWork, Source
from probefusion.archives.partials.encoding import one_thread
from probefusion.archives.partials.partials import Partials, open_partials, writing_partials
from probefusion.archives.rows.archive import Archive, ArchiveFile, ArchiveRows
from probefusion.archives.rows.ids import among, as_stored, bucket_borders, fitting, hash_ids
from probefusion.archives.states.states import StoredStates
from probefusion.fusion import Fuser
from probefusion.zoo import usability_or_why

__all__ = ["ErasedStates", "Outcome"]

_ROWS_AT_ONCE = 1 << 14
_MEMORY = 150_000_000

Ids = npt.NDArray[Any]


class Outcome(NamedTuple):
    """What became of the states.

    Attributes:
        gone: People of whom nothing is left.
        recomputed: People whose states were made anew.
    """

    gone: set[Any]
    recomputed: set[Any]


class ErasedStates:
    """Stored states of which people and images are to go.

    Args:
        folder: Their folder.
        stored: What it says of itself.
        fuser: Their fuser; None where only whole people go.
        found: By the number of the fused file, the archive's file and the rows that are to go from it.
    """

    def __init__(
        self,
        folder: Place,
        stored: StoredStates,
        fuser: Fuser | None,
        found: Mapping[int, tuple[Archive, ArchiveFile, FoundRows]],
    ) -> None:
        self._stored, self._fuser = stored, None if fuser is None else one_thread(fuser)
        self._settings = stored.settings
        self._buckets = stored.buckets(folder)
        self._found = found

    def erase(self, people: set[Any]) -> Outcome:
        """Writes the buckets anew that hold these people, or people of whom images go."""
        touched: set[Any] = set()
        for _, _, rows in self._found.values():
            touched |= rows.of_images
        touched -= people
        by_bucket: dict[int, set[Any]] = defaultdict(set)
        everyone = fitting([*people, *touched], self._settings.id_kind)
        for name, bucket in zip(everyone, self._bucket_of(everyone), strict=True):
            by_bucket[bucket].add(name)
        held: set[Any] = set()
        recomputed: set[Any] = set()
        with tempfile.TemporaryDirectory() as folder:
            sources = tuple(self._partials(touched, Path(folder))) if touched else ()
            for bucket, names in sorted(by_bucket.items()):
                had, left = self._write(bucket, names, sources, Path(folder))
                held |= had
                recomputed |= left
        return Outcome(held - recomputed, recomputed)

    def _bucket_of(self, names: Sequence[Any]) -> list[int]:
        if not names:
            return []
        kind = self._settings.id_kind
        dtype = {"texts": np.str_, "large integers": np.uint64}.get(kind, np.int64)
        hashes = hash_ids(as_stored(np.array(names, dtype), kind, "people"))
        order = np.argsort(hashes)
        borders = bucket_borders(hashes[order], self._settings.num_buckets)
        buckets = np.empty(len(names), np.int64)
        buckets[order] = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
        return buckets.tolist()

    def _write(
        self, bucket: int, names: set[Any], sources: tuple[Source, ...], folder: Path
    ) -> tuple[set[Any], set[Any]]:
        """Writes a bucket without some people, and with what is left of them.

        Returns:
            Those who were there, and those of whom something is left.
        """
        layers = self._buckets[bucket]
        fresh: list[Partials] = []
        if sources and self._fuser is not None:
            output = str(folder / f"bucket{bucket}.arrow")
            work = ReduceWork(
                fuser=self._fuser,
                settings=self._settings,
                sources=sources,
                memory=_MEMORY,
                keeps_states=True,
                usability=usability_or_why(self._fuser, self._settings.embedder)[0],
            )
            work.open()(ReduceTask(bucket=bucket, stored=(), output=output))
            fresh = _batches(output)
        held: set[Any] = set()
        for place in layers:
            with open_partials(place) as file:
                for index in range(file.num_batches):
                    people = file.people(index)
                    if len(people.ids):  # otherwise its ids are of no kind
                        held |= set(people.ids[among(people.ids, names)].tolist())
        left: set[Any] = set()
        if not held:
            return held, left
        # What is left goes to the oldest file first: until the others are written, the record before holds.
        kept = [new.part(*run) for new in fresh for run in _runs(among(new.ids, held))]
        for part in kept:
            left |= set(part.ids.tolist())
        self._write_layer(layers[0], names, kept)
        for place in layers[1:]:
            self._write_layer(place, names, [])
        return held, left

    def _write_layer(self, place: str, names: set[Any], more: Sequence[Partials]) -> None:
        """Writes a bucket's file anew without some people and with other records."""
        with open_partials(place) as file, writing_partials(place) as writer:
            for index in range(file.num_batches):
                part = file.read(index)
                if not len(part):
                    continue
                for start, stop in _runs(~among(part.ids, names)):
                    writer.write(part.part(start, stop))
                more = [_alike(new, part) for new in more]
            for part in more:
                writer.write(part)
            if not writer.has_written:
                writer.write(Partials.of_nobody(self._settings.state_width))

    def _partials(self, touched: set[Any], folder: Path) -> Iterator[Source]:
        """What the remaining rows of people add up to in each chunk of each file, in the files' order."""
        for number, fused in enumerate(self._stored.files):
            if number not in self._found or not fused.file.num_rows:
                continue
            output = str(folder / f"file{number}.arrow")
            with writing_partials(output) as writer:
                for start, stop in pairwise(fused.file.borders):
                    rows, numbers = self._rows_of(number, touched, start, stop)
                    if rows is None or self._fuser is None:
                        continue
                    part = chunk_partials(rows, self._fuser, self._settings)
                    part = replace(part, first=numbers[part.first])
                    cuts = bucket_borders(part.hashes, self._settings.num_buckets).tolist()
                    for begin, end in pairwise(cuts):
                        writer.write(part.part(begin, end))
            if writer.has_written:
                yield Source(place=output)

    def _rows_of(
        self, number: int, touched: set[Any], start: int, stop: int
    ) -> tuple[ArchiveRows | None, npt.NDArray[np.int64]]:
        """Rows of a chunk that remain of some people, and the numbers that they had among all rows at first."""
        fused, (archive, file, gone) = self._stored.files[number], self._found[number]
        columns = frozenset({"embedding", "style", "quality"})
        chosen: list[ArchiveRows] = []
        numbers: list[npt.NDArray[np.int64]] = []
        for begin, part in archive.reader.parts(file.place, start, stop, _ROWS_AT_ONCE, columns):
            rows = archive.reader.decoded(begin, part, file.name)
            places = np.arange(begin, begin + len(rows.ids))
            ids = as_stored(rows.ids, self._settings.id_kind, file.name)
            kept = among(ids, touched)
            kept &= ~np.isin(places, gone.rows)
            if kept.any():
                chosen.append(
                    ArchiveRows(
                        start=0,
                        ids=ids[kept],
                        embeddings=rows.embeddings[kept],
                        style=None if rows.style is None else rows.style[kept],
                        quality=None if rows.quality is None else rows.quality[kept],
                    )
                )
                numbers.append(fused.original(places[kept]))
        if not chosen:
            return None, np.zeros(0, np.int64)
        return _joined(chosen), np.concatenate(numbers)


def _joined(parts: Sequence[ArchiveRows]) -> ArchiveRows:
    def column(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return ArchiveRows(
        start=0,
        ids=column("ids"),
        embeddings=column("embeddings"),
        style=column("style"),
        quality=column("quality"),
        were_fused=True,
    )


def _batches(place: str) -> list[Partials]:
    with open_partials(place) as file:
        parts = [file.read(index) for index in range(file.num_batches)]
        return [part for part in parts if len(part)]


def _alike(new: Partials, old: Partials) -> Partials:
    """New partials with their rows in the types of old ones, so that they go into one file."""
    if not len(old):
        return new

    def column(name: str) -> Any:
        array, like = getattr(new, name), getattr(old, name)
        return array if array is None or like is None else array.astype(like.dtype, copy=False)

    return replace(
        new, embeddings=column("embeddings"), style=column("style"), quality=column("quality")
    )


def _runs(kept: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where runs of True begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kept.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
