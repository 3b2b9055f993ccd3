"""The fast kernel of an index: 8-bit products by numkong, with a bound that makes the search exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.extras import import_extra
from probefusion.gallery.index.float32_kernel import ROUNDED
from probefusion.gallery.index.index_checks import LONGEST
from probefusion.gallery.index.unit_rows import grown
from probefusion.types import FloatArray

__all__ = ["Int8Product", "Int8Rows", "Quantised", "import_numkong", "quantise"]

_CELLS_AT_ONCE = 1 << 15
"""Numbers quantised at a time: 256 kB in float64, within a processor's cache."""

_LARGEST_CODE = 127

_ROW_BY_ROW = 256
"""Dimension from which one query is faster by numkong's product of pairs than by its matrix product."""


def import_numkong() -> Any:
    """The `numkong` module.

    Raises:
        MissingExtraError: If it is not installed.
    """
    return import_extra("numkong", extra="gallery", purpose="the int8 kernel of a search index")


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantised:
    """Rows x as a c + e: a number times whole numbers, and what is left.

    Args:
        codes: (N, D) int8, c, within -127 and 127.
        scales: (N,) float32, a: largest magnitude of the row / 127.
        residuals: (N,) float32, no less than the length of e = x - a c.
    """

    codes: npt.NDArray[np.int8]
    scales: FloatArray
    residuals: FloatArray


def quantise(rows: FloatArray) -> Quantised:
    """Rounds rows to 8 bits, each by its own scale.

    Args:
        rows: (N, D) float32, finite, none of them zero.
    """
    codes = np.empty(rows.shape, np.int8)
    scales = np.empty(len(rows), np.float32)
    residuals = np.empty(len(rows), np.float32)
    step = max(1, _CELLS_AT_ONCE // rows.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        scales[part] = np.abs(rows[part]).max(axis=1) / _LARGEST_CODE
        wide, wide_scales = rows[part].astype(np.float64), scales[part].astype(np.float64)[:, None]
        whole = np.clip(np.rint(wide / wide_scales), -_LARGEST_CODE, _LARGEST_CODE)
        codes[part] = whole
        wide -= whole * wide_scales  # the product is exact: 7 + 24 bits
        lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
        # Enlarged by more than all roundings of the length, to float32 included.
        residuals[part] = lengths * (1 + 1e-6) + 1e-30
    return Quantised(codes=codes, scales=scales, residuals=residuals)


class Int8Rows:
    """The 8-bit codes beside the rows of an index, at the same places.

    Args:
        rows: (N, D) float32 unit rows to begin with.

    Raises:
        MissingExtraError: If numkong is not installed.
    """

    def __init__(self, rows: FloatArray) -> None:
        self.numkong = import_numkong()
        self._num_rows = 0
        self._codes: npt.NDArray[np.int8] = np.empty((0, rows.shape[1]), np.int8)
        self._scales: FloatArray = np.empty(0, np.float32)
        self._residuals: FloatArray = np.empty(0, np.float32)
        self.put(np.arange(len(rows)), quantise(rows))

    @property
    def num_bytes(self) -> int:
        """Memory of codes, scales and residuals, with the room to grow."""
        return self._codes.nbytes + self._scales.nbytes + self._residuals.nbytes

    @property
    def quantised(self) -> Quantised:
        """All rows, as views."""
        return Quantised(
            codes=self._codes[: self._num_rows],
            scales=self._scales[: self._num_rows],
            residuals=self._residuals[: self._num_rows],
        )

    def make_room(self, num_rows: int) -> None:
        """Sees to it that so many rows fit."""
        self._codes = grown(self._codes, num_rows)
        self._scales = grown(self._scales, num_rows)
        self._residuals = grown(self._residuals, num_rows)

    def put(self, places: npt.NDArray[np.intp], rows: Quantised) -> None:
        """Writes rows at places; those beyond the end are new and leave no gap."""
        self._num_rows = max(self._num_rows, int(places.max(initial=-1)) + 1)
        self.make_room(self._num_rows)
        self._codes[places], self._scales[places] = rows.codes, rows.scales
        self._residuals[places] = rows.residuals

    def remove(self, place: int, last: int) -> None:
        """Moves the last row to a free place and blanks where it was."""
        for array in (self._codes, self._scales, self._residuals):
            array[place] = array[last]
            array[last] = 0
        self._num_rows = last


class Int8Product:
    """Products of 8-bit rows and queries, and how far they can be off.

    Let a row be x = a c + e and a query q = b d + f, with whole numbers c and d of 8 bits. Then

        q.x = a b (d.c) + (b d).e + f.x,

    and by Cauchy-Schwarz |q.x - a b (d.c)| <= |b d| |e| + |f| |x|. d.c is a sum of whole numbers below
    2^31 for D <= 65,536: numkong computes it in 32 bits without rounding. What is left is float rounding:
    d.c becomes float32 and is multiplied by a in float32, which is off by less than 2.1 u of |a c| |b d|,
    u = 2^-24, where |a c| <= |x| + |e|, |b d| <= |q| + |f|, |e| <= |x| sqrt(D) / 254; and the reported
    similarity is the exact one rounded (`ROUNDED`). With the *residual* r >= |e|, measured for each row when
    it is written, the reported similarity s keeps

        |s - a b (d.c)| <= r n + m,  n = |b d|,  m = |f| |x| + (rounding).

    So all rows whose upper bound is below what `top_k` rows reach for certain, or below the threshold, can be
    left out, and the others are computed exactly: the same results as without 8 bits, bit by bit.

    Args:
        rows: The rows.
        queries: (Q, D) float32 rows no longer than `LONGEST`.
    """

    def __init__(self, rows: Int8Rows, queries: FloatArray) -> None:
        self._numkong, self._rows = rows.numkong, rows.quantised
        self.residuals: FloatArray | None = self._rows.residuals
        query = quantise(queries)
        self._codes = query.codes
        self.scales = query.scales.astype(np.float64)
        squares = np.einsum("qd,qd->q", *[query.codes.astype(np.float64)] * 2)
        self.reach: npt.NDArray[np.float64] = self.scales * np.sqrt(squares) * (1 + 1e-9)
        left = query.residuals.astype(np.float64)
        longest_row = LONGEST * (1 + np.sqrt(queries.shape[1]) / 253)
        rounding = (3 * 2.0**-24 * longest_row + ROUNDED * LONGEST) * (LONGEST + left) + 1e-9
        self.margins: npt.NDArray[np.float64] = left * LONGEST + rounding
        row_by_row = len(queries) == 1 and queries.shape[1] >= _ROW_BY_ROW
        self._packed = None if row_by_row else self._numkong.dots_pack(self._codes)

    def block(self, start: int, stop: int) -> FloatArray:
        """(stop - start, Q) float32: products of some rows, times the scales of the rows."""
        codes = self._rows.codes[start:stop]
        if self._packed is None:
            sums = np.asarray(self._numkong.cdist(self._codes, codes, "dot")).T
        else:
            sums = np.asarray(self._numkong.dots_packed(codes, self._packed))
        values = sums.astype(np.float32)
        values *= self._rows.scales[start:stop, None]
        return values
