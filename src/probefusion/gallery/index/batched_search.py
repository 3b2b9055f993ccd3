"""`BatchedSearch`: searches of many threads joined into one product, and changes between them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, DtypeError
from probefusion.gallery.index.hits import Hits
from probefusion.gallery.index.index_checks import check_unit_rows, checked_at_least, checked_top_k
from probefusion.gallery.index.search_index import SearchIndex
from probefusion.types import FloatArray

__all__ = ["BatchedSearch"]

_MOST_TOGETHER = 256
"""Queries in one product; more would not make each any cheaper."""


class BatchedSearch:
    """One index for many threads: searches that come at the same time share one pass over the rows.

    Nobody waits for others to come: a search that finds nothing under way begins at once; those that
    arrive meanwhile form the next product, all of them together. Results are those of `SearchIndex.search`, bit
    by bit. Changes take their turn in the order of arrival and alone, so a search sees all changes whose
    calls returned before it was called, and each change whole or not at all.

    While an index is inside, use it through this object only.

    Args:
        index: The index; it may hold templates already.

    Raises:
        DtypeError: If it is no `SearchIndex`.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> people = BatchedSearch(SearchIndex(2))
        >>> people.put(["ann", "bob"], [[1.0, 0.0], [0.6, 0.8]])
        >>> with ThreadPoolExecutor(8) as pool:
        ...     found = list(pool.map(people.search, [[[1.0, 0.0]], [[0.0, 1.0]]] * 20))
        >>> [hits.best for (hits,) in found[:2]]
        ['ann', 'bob']
        >>> with people.change() as index:
        ...     index.remove(["ann"])
        ...     index.put(["zoe"], [[1.0, 0.0]])
        >>> people.search([[1.0, 0.0]])[0].best
        'zoe'
    """

    def __init__(self, index: SearchIndex) -> None:
        if not isinstance(index, SearchIndex):
            raise DtypeError(f"index: expected a SearchIndex, got {type(index).__name__} {index}.")
        self._index = index
        self._lock = threading.Lock()
        self._queue: deque[_Request] = deque()
        self._busy: int | None = None
        """The thread whose turn it is."""

    def __len__(self) -> int:
        """The number of templates now."""
        return len(self._index)

    @property
    def dim(self) -> int:
        """D."""
        return self._index.dim

    def search(
        self, queries: npt.ArrayLike, *, top_k: int | None = None, at_least: float | None = None
    ) -> tuple[Hits, ...]:
        """The templates most similar to each query: see `SearchIndex.search`.

        A wrong argument is refused before others are joined with it; its error reaches its caller alone.
        """
        rows = check_unit_rows(queries, self.dim, name="queries")
        search = _Search(rows, checked_top_k(top_k, at_least), checked_at_least(at_least))
        if self._wait_for_turn(search):
            together = self._take_along(search)
            try:
                _search_together(self._index, together)
            except BaseException:
                self._put_back(together[1:])
                raise
            finally:
                self._end_turn()
            for other in together[1:]:
                other.ready.set()
        if search.error is not None:
            raise search.error
        return search.hits or ()

    @contextmanager
    def change(self) -> Iterator[SearchIndex]:
        """The index for several changes at once: no search runs inside the block, none sees a part of it.

        What the block did before an error stays done.

        Raises:
            ConfigError: If the thread is inside such a block already, for it would wait for itself.
        """
        self._wait_for_turn(_Request())
        try:
            yield self._index
        finally:
            self._end_turn()

    def put(self, ids: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Adds or replaces templates: see `SearchIndex.put`."""
        with self.change() as index:
            index.put(ids, vectors)

    def replace(self, ids: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Gives known templates new vectors: see `SearchIndex.replace`."""
        with self.change() as index:
            index.replace(ids, vectors)

    def remove(self, ids: Sequence[str]) -> None:
        """Takes templates out: see `SearchIndex.remove`."""
        with self.change() as index:
            index.remove(ids)

    def _wait_for_turn(self, request: _Request) -> bool:
        """Returns True when it is the caller's turn, or False when another has answered the request."""
        me = threading.get_ident()
        with self._lock:
            if self._busy == me:
                raise ConfigError(
                    "change: this thread is inside a block of change() and would wait for itself. "
                    "Use the index that the block was given."
                )
            if self._busy is None:
                self._busy = me
                return True
            request.thread = me
            self._queue.append(request)
        try:
            request.ready.wait()
        except BaseException:
            self._give_up(request)
            raise
        return request.has_turn

    def _take_along(self, first: _Search) -> list[_Search]:
        """The search whose turn it is, and those that wait behind it, up to the next change."""
        together, num_queries = [first], len(first.queries)
        with self._lock:
            while self._queue:
                following = self._queue[0]
                if not isinstance(following, _Search):
                    break
                num_queries += len(following.queries)
                if num_queries > _MOST_TOGETHER:
                    break
                together.append(following)
                self._queue.popleft()
        return together

    def _put_back(self, searches: list[_Search]) -> None:
        """Searches whose product was interrupted wait on, first in the queue and in their order."""
        with self._lock:
            for search in searches:
                search.hits = search.error = None
            self._queue.extendleft(reversed(searches))

    def _end_turn(self) -> None:
        """Gives the turn to the first of the queue."""
        with self._lock:
            self._busy = None
            if self._queue:
                following = self._queue.popleft()
                self._busy, following.has_turn = following.thread, True
                following.ready.set()

    def _give_up(self, request: _Request) -> None:
        """Leaves the queue, or passes the turn on if it came just now."""
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
                return
        if request.has_turn:
            self._end_turn()


class _Request:
    """Somebody who waits: for a change, or as `_Search`."""

    def __init__(self) -> None:
        self.thread = 0
        self.has_turn = False
        self.ready = threading.Event()
        """Set when it is the thread's turn, or when its search has been answered by another."""


class _Search(_Request):
    """A search that waits, then what it found."""

    def __init__(self, queries: FloatArray, top_k: int | None, at_least: float) -> None:
        super().__init__()
        self.queries, self.top_k, self.at_least = queries, top_k, at_least
        self.hits: tuple[Hits, ...] | None = None
        self.error: Exception | None = None


def _search_together(index: SearchIndex, searches: list[_Search]) -> None:
    """Answers all; where that fails, one by one, so that an error reaches the search that causes it."""
    try:
        for top_k in {search.top_k: None for search in searches}:
            _search_at_once(index, [search for search in searches if search.top_k == top_k])
    except Exception:
        if len(searches) == 1:
            raise
        for search in searches:
            search.hits = None
            try:
                _search_at_once(index, [search])
            except Exception as error:  # noqa: BLE001 - rises in the thread that asked
                search.error = error


def _search_at_once(index: SearchIndex, searches: list[_Search]) -> None:
    """Answers searches that ask for the same number of results, by one product."""
    lengths = [len(search.queries) for search in searches]
    hits = index.search_checked(
        np.concatenate([search.queries for search in searches]),
        top_k=searches[0].top_k,
        at_least=np.repeat([search.at_least for search in searches], lengths),
    )
    start = 0
    for search, length in zip(searches, lengths, strict=True):
        search.hits = hits[start : start + length]
        start += length
