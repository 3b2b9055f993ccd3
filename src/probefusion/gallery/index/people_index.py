"""The templates of a model in memory, kept in step with the collection."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError, SealError
from probefusion.gallery.audit.trail import AuditEntry
from probefusion.gallery.index.batched_search import BatchedSearch
from probefusion.gallery.index.hits import Hits
from probefusion.gallery.index.search_index import Kernel, SearchIndex
from probefusion.gallery.keys.encryption import DataKey
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import DamagedRow, ModelRow, PersonRow, VectorRow
from probefusion.gallery.stores.store import Reader
from probefusion.types import FloatArray

__all__ = ["Found", "Look", "PeopleIndex"]

_AT_ONCE = 10_000
"""Templates that are opened at a time."""

_MANY = 200
"""From so many changed people on all are read in one pass."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A person who was found.

    Args:
        person: The person's row.
        num_images: Images in the template.
        similarity: To the query.
    """

    person: PersonRow
    num_images: int
    similarity: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What a search saw, all of one moment.

    Args:
        found: Who was found, the most similar first.
        vectors: (K, D) their templates.
        size: How many people it was searched among.
    """

    found: tuple[Found, ...]
    vectors: FloatArray
    size: int


@dataclass(frozen=True, kw_only=True)
class _Facts:
    person: PersonRow
    num_images: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Held:
    """Templates, and what is known of whose they are."""

    search: BatchedSearch
    facts: dict[str, _Facts]
    damaged: dict[str, DamagedRow]

    def named(self, hits: Hits, index: SearchIndex) -> Iterator[Found]:
        for person_id, similarity in hits:
            if person_id in index:
                facts = self.facts[person_id]
                yield Found(person=facts.person, num_images=facts.num_images, similarity=similarity)


class PeopleIndex:
    """Who of a collection has which template by one model. For several threads.

    Args:
        model: The model.
        sealer: Opens the templates.
        kernel: As for `SearchIndex`.
    """

    def __init__(self, model: ModelRow, sealer: Sealer, kernel: Kernel = "auto") -> None:
        self.model = model
        self._sealer, self._kernel = sealer, kernel
        self._held = self._empty()
        self._lock = threading.Lock()
        self._last_audit: bytes | None = None
        self.revision = -1

    def __len__(self) -> int:
        return len(self._held.search)

    @property
    def damaged(self) -> tuple[DamagedRow, ...]:
        """Templates and people that were damaged, so that they cannot be found."""
        return tuple(self._held.damaged.values())

    def follow(self, reader: Reader) -> None:
        """Takes over what was written since the last time; a database that was restored or made again is read anew.

        Raises:
            MissingKeyError: If keys are lost that were not destroyed.
        """
        with self._lock:
            last = reader.last_audit()
            if reader.revision == self.revision and last == self._last_audit:
                return
            goes_on = self.revision >= 0 and self._goes_on(reader)
            held = self._held if goes_on else self._empty()
            reader.on_damage = "pass over"
            changed = reader.vectors(self.model.id, after=self.revision if goes_on else -1)
            while rows := list(islice(changed, _AT_ONCE)):
                self._take(reader, rows, held)
            self._note_damage(reader, held)
            self._held = held
            self._last_audit, self.revision = last, reader.revision

    def look(self, vector: FloatArray, *, top_k: int) -> Look:
        """The most similar people, the first the most similar, with their templates, all as they are at one moment.

        Args:
            vector: (D,) unit template.
            top_k: How many at most.
        """
        (look,) = self.looks([(vector, top_k)])
        return look

    def looks(self, queries: Sequence[tuple[FloatArray, int]]) -> list[Look]:
        """As `look`, for several queries of one moment by one product.

        Args:
            queries: (D,) unit template and top_k of each.
        """
        held = self._held
        hits: list[Hits | None] = [None] * len(queries)
        for top_k in {count: None for _, count in queries}:
            places = [place for place, (_, count) in enumerate(queries) if count == top_k]
            vectors = np.stack([queries[place][0] for place in places])
            for place, found in zip(places, held.search.search(vectors, top_k=top_k), strict=True):
                hits[place] = found
        looks = []
        with held.search.change() as index:  # what was removed since the search is left out
            for each in hits:
                named = () if each is None else tuple(held.named(each, index))
                vectors = index.vectors([found.person.id for found in named])
                looks.append(Look(found=named, vectors=vectors, size=len(index)))
        return looks

    def _empty(self) -> _Held:
        return _Held(
            search=BatchedSearch(SearchIndex(self.model.dim, self._kernel)), facts={}, damaged={}
        )

    def _goes_on(self, reader: Reader) -> bool:
        """Whether the collection has the past that is known: its audit trail holds the entry that was the last."""
        if reader.revision < self.revision:
            return False
        if self._last_audit is None:
            return self.revision == 0
        try:
            known = AuditEntry.parse(self._last_audit).sequence
        except FileFormatError:  # damaged
            return False
        return next(iter(reader.audit(after=known - 1)), None) == self._last_audit

    def _take(self, reader: Reader, rows: list[VectorRow], held: _Held) -> None:
        people = _people_of(reader, rows)
        keys = self._keys_of(list(people.values()))
        ids, vectors, facts = [], [], {}
        for row in rows:
            person = people.get(row.person_id)
            if row.vector is None or person is None or not person.shown:
                continue
            key = None if person.key_id is None else keys.get(person.key_id)
            if key is None and self._sealer.encrypts:
                continue  # forgotten: the key was destroyed, and a backup brought the row back
            try:
                vector = self._sealer.open_vector(row.vector, row.person_id, self.model.id, key)
            except SealError:
                key_text = f"{row.person_id} {row.model_id}"
                reader.damaged.append(
                    DamagedRow(table="vectors", key=key_text, person_id=row.person_id)
                )
                continue
            ids.append(row.person_id)
            vectors.append(vector)
            facts[row.person_id] = _Facts(person=person, num_images=row.num_images)
        there: npt.NDArray[np.float32] = (
            np.stack(vectors) if vectors else np.empty((0, self.model.dim), dtype=np.float32)
        )
        gone = [row.person_id for row in rows if row.person_id not in facts]
        for row in rows:
            held.damaged.pop(row.person_id, None)
        with held.search.change() as index:
            index.put(ids, there)
            index.remove([name for name in gone if name in index])
            held.facts.update(facts)
            for name in gone:
                held.facts.pop(name, None)

    def _note_damage(self, reader: Reader, held: _Held) -> None:
        """Takes out who was damaged: whoever was found before is not told by what cannot be trusted."""
        found = {row.person_id: row for row in reader.damaged if row.person_id is not None}
        held.damaged.update(found)
        with held.search.change() as index:
            index.remove([person_id for person_id in found if person_id in index])
            for person_id in found:
                held.facts.pop(person_id, None)

    def _keys_of(self, people: Sequence[PersonRow]) -> Mapping[str, DataKey]:
        wanted = [person.key_id for person in people if person.shown]
        keys = self._sealer.known_keys(wanted)
        self._sealer.check_destroyed([key_id for key_id in wanted if key_id and key_id not in keys])
        return keys


def _people_of(reader: Reader, rows: Sequence[VectorRow]) -> dict[str, PersonRow]:
    wanted = {row.person_id for row in rows}
    if len(wanted) > _MANY:
        return {person.id: person for person in reader.people() if person.id in wanted}
    people = {}
    for person_id in wanted:
        try:
            person = reader.person(person_id)
        except (IntegrityError, SealError):
            reader.damaged.append(DamagedRow(table="people", key=person_id, person_id=person_id))
            continue
        if person is not None:
            people[person_id] = person
    return people
