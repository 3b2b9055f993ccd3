"""The templates of a model in memory, kept in step with the collection."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from probefusion.gallery.batched_search import BatchedSearch
from probefusion.gallery.hits import Hits
from probefusion.gallery.index import Kernel, SearchIndex
from probefusion.gallery.records import ModelRow, PersonRow, VectorRow
from probefusion.gallery.sealing import Sealer
from probefusion.gallery.store import Reader
from probefusion.types import FloatArray

__all__ = ["Found", "PeopleIndex"]

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


@dataclass(frozen=True, kw_only=True)
class _Facts:
    person: PersonRow
    num_images: int


class PeopleIndex:
    """Who of a collection has which template by one model. For several threads.

    Args:
        model: The model.
        sealer: Opens the templates.
        kernel: As for `SearchIndex`.
    """

    def __init__(self, model: ModelRow, sealer: Sealer, kernel: Kernel = "auto") -> None:
        self.model = model
        self._sealer = sealer
        self._search = BatchedSearch(SearchIndex(model.dim, kernel))
        self._facts: dict[str, _Facts] = {}
        self._lock = threading.Lock()
        self.revision = -1

    def __len__(self) -> int:
        return len(self._search)

    def follow(self, reader: Reader) -> None:
        """Takes over what was written since the last time."""
        with self._lock:
            if reader.revision <= self.revision:
                return
            changed = reader.vectors(self.model.id, after=self.revision)
            while rows := list(islice(changed, _AT_ONCE)):
                self._take(reader, rows)
            self.revision = reader.revision

    def search(
        self, vector: FloatArray, *, top_k: int | None, at_least: float | None = None
    ) -> list[Found]:
        """The most similar people, the first the most similar."""
        (hits,) = self._search.search(vector[None], top_k=top_k, at_least=at_least)
        return list(self._named(hits))

    def with_vectors(self, found: Sequence[Found]) -> tuple[list[Found], FloatArray]:
        """Those who are still there, and their (K, D) templates."""
        with self._search.change() as index:
            there = [each for each in found if each.person.id in index]
            return there, index.vectors([each.person.id for each in there])

    def _named(self, hits: Hits) -> Iterator[Found]:
        for person_id, similarity in hits:
            facts = self._facts.get(person_id)
            if facts is not None:  # otherwise removed since
                yield Found(person=facts.person, num_images=facts.num_images, similarity=similarity)

    def _take(self, reader: Reader, rows: list[VectorRow]) -> None:
        people = _people_of(reader, rows)
        keys = self._sealer.known_keys([person.key_id for person in people.values()])
        ids, vectors, facts = [], [], {}
        for row in rows:
            person = people.get(row.person_id)
            if row.vector is None or person is None or not person.shown:
                continue
            key = None if person.key_id is None else keys.get(person.key_id)
            if key is None and self._sealer.encrypts:
                continue  # forgotten: the key was destroyed, and a backup brought the row back
            ids.append(row.person_id)
            vectors.append(self._sealer.open_vector(row.vector, row.person_id, self.model.id, key))
            facts[row.person_id] = _Facts(person=person, num_images=row.num_images)
        there: npt.NDArray[np.float32] = (
            np.stack(vectors) if vectors else np.empty((0, self.model.dim), dtype=np.float32)
        )
        gone = [row.person_id for row in rows if row.person_id not in facts]
        with self._search.change() as index:
            index.put(ids, there)
            index.remove([name for name in gone if name in index])
            self._facts.update(facts)
            for name in gone:
                self._facts.pop(name, None)


def _people_of(reader: Reader, rows: Sequence[VectorRow]) -> dict[str, PersonRow]:
    wanted = {row.person_id for row in rows}
    if len(wanted) > _MANY:
        return {person.id: person for person in reader.people() if person.id in wanted}
    found = (reader.person(person_id) for person_id in wanted)
    return {person.id: person for person in found if person is not None}
