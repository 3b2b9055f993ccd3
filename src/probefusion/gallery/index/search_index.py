"""`SearchIndex`: exact search among unit templates in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, MissingExtraError
from probefusion.gallery.index.candidate_scan import BoundedProduct, Candidates, find_candidates
from probefusion.gallery.index.float32_kernel import Float32Product
from probefusion.gallery.index.hits import Hits
from probefusion.gallery.index.index_checks import (
    check_one_each,
    check_unit_rows,
    checked_at_least,
    checked_dim,
    checked_ids,
    checked_top_k,
)
from probefusion.gallery.index.int8_kernel import Int8Product, Int8Rows, import_numkong, quantise
from probefusion.gallery.index.rounded_products import rounded_products
from probefusion.gallery.index.unit_rows import UnitRows
from probefusion.types import FloatArray

__all__ = ["Kernel", "SearchIndex"]

Kernel: TypeAlias = Literal["auto", "float32", "int8"]
"""What computes the products of a search. All give the same results; they differ in time and memory."""

_INT8_PAYS = 1 << 22
"""Numbers (rows x dimension) from which "auto" takes the int8 kernel."""


_QUERIES_AT_ONCE = 256
"""Queries in one product: more would not make each any cheaper."""


class SearchIndex:
    """Unit templates by id, and which of them are most similar to a query. The search is exact.

    Every similarity is reported as the float32 number next to the inner product of the two float32
    vectors (see `rounded_products`), and equal ones are ordered by id. So results are the same, bit by bit,
    for both kernels, for queries alone or together, and for every order in which templates were put and removed.

    Memory, with D the dimension: 4 D bytes a template, with the int8 kernel D + 8 more, and the ids.

    Threads: searches may run side by side while nobody changes the index; `BatchedSearch` sees to that.

    Args:
        dim: D, 1 to 65,536.
        kernel: "float32" (BLAS); "int8" (8-bit products by numkong that find the candidates, which are
            then computed exactly); "auto": int8 if numkong is installed and the index is large enough.

    Raises:
        ConfigError: If dim is out of range or the kernel unknown.
        MissingExtraError: For "int8" without numkong.

    Example:
        >>> index = SearchIndex(2, kernel="float32")
        >>> index.put(["ann", "bob", "zoe"], [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> [hits] = index.search([[1.0, 0.0]], at_least=0.5)
        >>> hits.ids
        ('ann', 'bob')
        >>> index.remove(["ann"])
        >>> index, index.search([[1.0, 0.0]], top_k=1)[0].best
        (<SearchIndex: 2 templates, dim 2, kernel float32>, 'bob')
    """

    def __init__(self, dim: int, kernel: Kernel = "auto") -> None:
        self._rows = UnitRows(checked_dim(dim))
        if kernel not in ("auto", "float32", "int8"):
            raise ConfigError(f"kernel: expected 'auto', 'float32' or 'int8', got {kernel!r}.")
        self._may_quantise = kernel == "auto" and _has_numkong()
        self._int8 = Int8Rows(self._rows.vectors) if kernel == "int8" else None

    def __len__(self) -> int:
        """The number of templates."""
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows.places

    def __repr__(self) -> str:
        """A short summary."""
        return f"<SearchIndex: {len(self)} templates, dim {self.dim}, kernel {self.kernel}>"

    @property
    def dim(self) -> int:
        """D."""
        return self._rows.dim

    @property
    def kernel(self) -> Literal["float32", "int8"]:
        """The kernel in use now."""
        return "float32" if self._int8 is None else "int8"

    @property
    def num_bytes(self) -> int:
        """Memory for vectors and codes, with the room to grow; without the ids."""
        return self._rows.num_bytes + (0 if self._int8 is None else self._int8.num_bytes)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all templates, in no order."""
        return tuple(self._rows.ids)

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """(K, D) float32 templates of some ids, a copy.

        Raises:
            DtypeError, InvalidInputError: If ids are no texts, twice, or not in the index.
        """
        return self._rows.vectors[self._rows.places_of(checked_ids(ids))]

    def put(self, ids: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Adds templates; where an id is known, its template is replaced. All or none of them.

        Args:
            ids: K texts, each once; K may be 0.
            vectors: (K, D) floating point, kept as float32, of unit length within `UNIT_TOLERANCE`.

        Raises:
            DtypeError: If ids are no texts, or vectors no floating point.
            ShapeError: If there is not one vector of D numbers for each id.
            NonFiniteError: For NaN or infinity.
            InvalidInputError: If an id occurs twice or a vector is not of unit length.
        """
        names = checked_ids(ids)
        rows = check_unit_rows(vectors, self.dim, name="vectors")
        check_one_each(names, rows)
        num_rows = len(self) + sum(name not in self._rows.places for name in names)
        # All that needs memory comes first, so that nothing has changed if there is none.
        self._rows.make_room(num_rows)
        if self._int8 is None and self._may_quantise and num_rows * self.dim >= _INT8_PAYS:
            self._int8 = Int8Rows(self._rows.vectors)
        if self._int8 is None:
            self._rows.put(names, rows)
            return
        codes = quantise(rows)
        self._int8.make_room(num_rows)
        self._int8.put(self._rows.put(names, rows), codes)

    def replace(self, ids: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Gives templates that are known new vectors, as `put`. All or none of them.

        Raises:
            InvalidInputError: If an id is not in the index; else as `put`.
        """
        self._rows.places_of(checked_ids(ids))
        self.put(ids, vectors)

    def remove(self, ids: Sequence[str]) -> None:
        """Takes templates out. All or none of them.

        Raises:
            DtypeError, InvalidInputError: If ids are no texts, twice, or not in the index.
        """
        names = checked_ids(ids)
        self._rows.places_of(names)
        for name in names:
            place, last = self._rows.remove(name)
            if self._int8 is not None:
                self._int8.remove(place, last)

    def search(
        self, queries: npt.ArrayLike, *, top_k: int | None = None, at_least: float | None = None
    ) -> tuple[Hits, ...]:
        """The templates most similar to each query.

        Args:
            queries: (Q, D) floating point, of unit length within `UNIT_TOLERANCE`; Q may be 0.
            top_k: How many at most, at least 1. None: 10, or with `at_least` all that reach it.
            at_least: The least similarity; one that is equal is reported. None: no threshold.

        Returns:
            Q `Hits`, empty where nothing was found.

        Raises:
            DtypeError: If queries are no floating point, top_k no whole number, at_least no number.
            ShapeError: If a query has not D numbers.
            NonFiniteError: For NaN or infinity.
            InvalidInputError: If a query is not of unit length.
            ConfigError: If top_k is below 1, or at_least NaN.
        """
        rows = check_unit_rows(queries, self.dim, name="queries")
        floors = np.full(len(rows), checked_at_least(at_least))
        return self.search_checked(rows, top_k=checked_top_k(top_k, at_least), at_least=floors)

    def search_checked(
        self, queries: FloatArray, *, top_k: int | None, at_least: npt.NDArray[np.float64]
    ) -> tuple[Hits, ...]:
        """`search` of queries that were checked, each with its own threshold.

        Args:
            queries: (Q, D) float32, checked.
            top_k: How many at most, or None for no limit.
            at_least: (Q,) float64; -inf for no threshold.
        """
        if not len(self):
            return tuple(Hits.ranked([], np.empty(0, np.float32), None) for _ in queries)
        found: list[Hits] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            found += self._search_part(queries[part], top_k, at_least[part])
        return tuple(found)

    def _search_part(
        self, queries: FloatArray, top_k: int | None, at_least: npt.NDArray[np.float64]
    ) -> list[Hits]:
        candidates = find_candidates(
            self._product(queries), len(self), top_k=top_k, at_least=at_least
        )
        return [
            self._hits(query, likely, top_k, floor)
            for query, likely, floor in zip(queries, candidates, at_least, strict=True)
        ]

    def _product(self, queries: FloatArray) -> BoundedProduct:
        if self._int8 is None:
            return Float32Product(self._rows.vectors, queries)
        return Int8Product(self._int8, queries)

    def _hits(self, query: FloatArray, likely: Candidates, top_k: int | None, floor: float) -> Hits:
        """Computes the similarities of the candidates of a query and ranks them."""
        rows = likely.rows
        if top_k is not None and len(rows) > 2 * top_k:
            # top_k rows reach the least similarity of any top_k: none whose bound is below can be a result.
            promising = np.argpartition(-likely.upper, top_k - 1)[:top_k]
            reached = rounded_products(self._rows.vectors[rows[promising]], query).min()
            rows = rows[likely.upper >= reached]
        similarities = rounded_products(self._rows.vectors[rows], query)
        kept = similarities >= floor
        ids = [self._rows.ids[row] for row in rows[kept].tolist()]
        return Hits.ranked(ids, similarities[kept], top_k)


def _has_numkong() -> bool:
    try:
        import_numkong()
    except MissingExtraError:
        return False
    return True
