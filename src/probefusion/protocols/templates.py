"""What a benchmark's files say, as frozen value types: templates, pairs, galleries, probes.

Nothing here scores, embeds or decodes. A template is a list of rows into the benchmark's images;
all templates together are one ragged index, so that a benchmark of half a million images costs a
few arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_length, read_only
from probefusion.errors import DtypeError, InvalidInputError, ShapeError

__all__ = [
    "IdentificationTask",
    "Int32Array",
    "LabelledTemplates",
    "TemplateIndex",
    "VerificationPairs",
]

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class TemplateIndex:
    """Which images make up each template: the template at position t is `rows[offsets[t]:offsets[t+1]]`.

    Args:
        template_ids: (T,) integers, the ids that the benchmark's files use, strictly ascending.
        offsets: (T + 1,) integers, never falling, from 0 to E.
        rows: (E,) integers >= 0: rows of the benchmark's image table, in the order of the file. An
            image may belong to several templates.
        media_ids: (E,) integers: which still or video each entry comes from.

    Raises:
        ShapeError, DtypeError: For arrays that do not fit together or are no integers.
        InvalidInputError: For ids that do not ascend or offsets that fall.

    A template may be empty: no face was found in any of its images (see `empty`). The arrays are
    views marked read-only.

    Example:
        >>> index = TemplateIndex.from_columns([7, 3, 7], [1, 2, 1])
        >>> index.template_ids.tolist(), index.rows_of(1).tolist()
        ([3, 7], [0, 2])
    """

    template_ids: Int32Array
    offsets: npt.NDArray[np.int64]
    rows: Int32Array
    media_ids: Int32Array

    def __post_init__(self) -> None:
        ids = _integers(self.template_ids, "template_ids")
        rows = _integers(self.rows, "rows")
        media_ids = _integers(self.media_ids, "media_ids")
        offsets = _integers(self.offsets, "offsets").astype(np.int64)
        check_length(media_ids, len(rows), name="media_ids")
        if len(offsets) != len(ids) + 1 or offsets[0] != 0 or offsets[-1] != len(rows):
            raise ShapeError(
                f"offsets: expected {len(ids) + 1} entries from 0 to {len(rows)} for {len(ids)} "
                f"templates and {len(rows)} rows, got {len(offsets)} entries."
            )
        if (np.diff(offsets) < 0).any():
            raise InvalidInputError("offsets: expected numbers that never fall.")
        if (np.diff(ids) <= 0).any():
            raise InvalidInputError(
                "template_ids: expected each id once, in ascending order. "
                "Use TemplateIndex.from_columns to build the index from one id per image."
            )
        if len(rows) and rows.min() < 0:
            raise InvalidInputError(f"rows: expected row numbers >= 0, got {rows.min()}.")
        object.__setattr__(self, "template_ids", read_only(ids))
        object.__setattr__(self, "offsets", read_only(offsets))
        object.__setattr__(self, "rows", read_only(rows))
        object.__setattr__(self, "media_ids", read_only(media_ids))

    @staticmethod
    def from_columns(template_ids: npt.ArrayLike, media_ids: npt.ArrayLike) -> TemplateIndex:
        """The index of a table with one template id and one media id per image.

        Args:
            template_ids: (N,) integers.
            media_ids: (N,) integers.

        Returns:
            The templates in ascending order of id, the images of each in the order of the table.

        Raises:
            ShapeError, DtypeError: As for `TemplateIndex`.
        """
        owners = _integers(template_ids, "template_ids")
        media = _integers(media_ids, "media_ids")
        check_length(media, len(owners), name="media_ids")
        order = np.argsort(owners, kind="stable").astype(np.int32)
        unique, counts = np.unique(owners, return_counts=True)
        return TemplateIndex(
            template_ids=unique,
            offsets=np.concatenate(([0], np.cumsum(counts))),
            rows=order,
            media_ids=media[order],
        )

    @property
    def num_templates(self) -> int:
        """T, how many templates there are."""
        return len(self.template_ids)

    def __len__(self) -> int:
        return self.num_templates

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(T,) int64, how many images each template has."""
        sizes: npt.NDArray[np.int64] = np.diff(self.offsets)
        return sizes

    @property
    def empty(self) -> Int32Array:
        """(F,) int32, positions of the templates without any image: failures to acquire."""
        return np.flatnonzero(self.sizes == 0).astype(np.int32)

    def rows_of(self, template: int) -> Int32Array:
        """(n,) int32, the image rows of the template at position `template`."""
        start, end = self._span(template)
        return self.rows[start:end]

    def positions(self, template_ids: npt.ArrayLike) -> Int32Array:
        """Where ids stand in this index.

        Args:
            template_ids: (K,) integers as in the benchmark's files.

        Returns:
            (K,) int32, the position of each; -1 for an id that no template has.
        """
        wanted = _integers(template_ids, "template_ids")
        if not self.num_templates:
            return np.full(len(wanted), -1, dtype=np.int32)
        found = np.searchsorted(self.template_ids, wanted).astype(np.int32)
        np.minimum(found, self.num_templates - 1, out=found)
        found[self.template_ids[found] != wanted] = -1
        return found

    def _span(self, template: int) -> tuple[int, int]:
        if not 0 <= template < self.num_templates:
            raise InvalidInputError(
                f"template: expected a position from 0 to {self.num_templates - 1}, got {template}."
            )
        return int(self.offsets[template]), int(self.offsets[template + 1])


@dataclass(frozen=True, kw_only=True, eq=False)
class VerificationPairs:
    """Which templates are compared one to one, and which of the pairs show one person.

    Args:
        first: (P,) integers, positions of templates.
        second: (P,) integers, positions of templates.
        mated: (P,) bool, True where both show the same person.
        folds: (P,) integers or None: the fold of cross-validation, from 1.

    Raises:
        ShapeError, DtypeError: For arrays of different lengths or types.
    """

    first: Int32Array
    second: Int32Array
    mated: npt.NDArray[np.bool_]
    folds: Int32Array | None = None

    def __post_init__(self) -> None:
        first = _integers(self.first, "first")
        second = _integers(self.second, "second")
        mated = np.asarray(self.mated)
        if mated.dtype != np.bool_:
            raise DtypeError(f"mated: expected bool, got {mated.dtype}.")
        check_length(second, len(first), name="second")
        check_length(mated, len(first), name="mated")
        object.__setattr__(self, "first", read_only(first))
        object.__setattr__(self, "second", read_only(second))
        object.__setattr__(self, "mated", read_only(mated))
        if self.folds is not None:
            folds = _integers(self.folds, "folds")
            check_length(folds, len(first), name="folds")
            object.__setattr__(self, "folds", read_only(folds))

    @property
    def num_pairs(self) -> int:
        """P, how many comparisons there are."""
        return len(self.first)

    def __len__(self) -> int:
        return self.num_pairs

    @property
    def num_mated(self) -> int:
        """How many pairs show one person."""
        return int(np.count_nonzero(self.mated))

    @property
    def num_non_mated(self) -> int:
        """How many pairs show two people."""
        return self.num_pairs - self.num_mated


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledTemplates:
    """A gallery or a set of probes: templates and whom each shows.

    Args:
        name: What the benchmark calls it ("gallery_S1").
        templates: (K,) integers, positions of templates.
        subjects: (K,) integers, the subject id of each.

    Raises:
        ShapeError, DtypeError: For arrays of different lengths or types.
    """

    name: str
    templates: Int32Array
    subjects: Int32Array

    def __post_init__(self) -> None:
        templates = _integers(self.templates, "templates")
        subjects = _integers(self.subjects, "subjects")
        check_length(subjects, len(templates), name="subjects")
        object.__setattr__(self, "templates", read_only(templates))
        object.__setattr__(self, "subjects", read_only(subjects))

    def __len__(self) -> int:
        return len(self.templates)


@dataclass(frozen=True, kw_only=True, eq=False)
class IdentificationTask:
    """One probe set that is searched in one or more galleries.

    Args:
        name: What the benchmark calls it.
        probes: The probes.
        galleries: The galleries, in the benchmark's order.

    How several galleries are used differs: IJB-B and IJB-C search each apart and take the mean of
    the rates (the newer InsightFace helper) or join them (the older one); IJB-S joins them for
    closed-set ranks and searches each apart for open-set rates.
    """

    name: str
    probes: LabelledTemplates
    galleries: tuple[LabelledTemplates, ...]


def _integers(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected one axis, got shape {array.shape}.")
    if array.size == 0:
        return array.astype(np.int32)
    if array.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integers, got {array.dtype}.")
    if array.dtype == np.int32:
        return array
    limits = np.iinfo(np.int32)
    if array.min() < limits.min or array.max() > limits.max:
        raise InvalidInputError(f"{name}: expected numbers that fit int32, got {array.max()}.")
    return array.astype(np.int32)
