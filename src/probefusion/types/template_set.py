"""`TemplateSet`: the templates of many people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_finite_rows, check_float_array, read_only, row_norms
from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    InvalidInputError,
    MismatchError,
    ShapeError,
    UnknownNameError,
)
from probefusion.files import check_existing
from probefusion.types.embedding_set import UNIT_TOLERANCE, FloatArray
from probefusion.types.fusion_state import FusionState
from probefusion.types.template import Template, check_comparable
from probefusion.types.template_checks import check_count, check_states, checked_counts, checked_ids
from probefusion.types.template_files import (
    TemplateColumns,
    read_template_file,
    write_template_file,
)
from probefusion.types.usability import NUMBERS, Usability, checked_numbers, not_usable_rows

__all__ = ["TemplateSet"]

_CELLS_AT_ONCE = 1 << 22
"""Similarities held at a time where only the best of each row is kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TemplateSet:
    """The templates of many people, made by one fuser from embeddings of one embedder.

    Args:
        ids: (T,) text, each once; T >= 1. Who each template is.
        vectors: (T, D) floating point, kept as float32. Each of length 1 within `UNIT_TOLERANCE`.
        num_images: (T,) integers of at least 1, kept as int64: how many images went into each.
        fuser: Fingerprint of the fuser, or None when unknown.
        embedder: Fingerprint of the embedder, or None when unknown.
        states: T states of that fuser, of which the templates were made, or None. With them images
            can be added later.
        usability: (T, 5) floating point, what can be expected of each, as `probefusion.types.usability.NUMBERS` says;
            rows of NaN where nobody knows; None for all. A template of the set has it as `Usability`.

    Raises:
        EmptySetError: For no templates.
        DtypeError: If ids are no text, counts no integers, vectors no floating point.
        ShapeError: If lengths differ.
        NonFiniteError: For NaN or infinity.
        InvalidInputError: If an id occurs twice or cannot be written as UTF-8, a vector is not of unit
            length, or a count is below 1; the message names it.
        FuserMismatchError, EmbedderMismatchError: If a state belongs to another fuser or embedder.
        MismatchError: If a state holds another number of images than its template.

    Iterating gives the ids, `set[id]` the template, `id in set` whether there is one. The weights of
    single images are not kept.

    Example:
        >>> people = TemplateSet(
        ...     ids=["ann", "bob"], vectors=[[1.0, 0.0], [0.6, 0.8]], num_images=[3, 1], fuser="mean@1"
        ... )
        >>> people
        <TemplateSet: 2 templates of 4 images, dim 2, fuser mean@1, embedder unknown>
        >>> list(people), people["bob"].num_images, people.similarities(people)[0].round(1).tolist()
        (['ann', 'bob'], 1, [1.0, 0.6000000238418579])
    """

    ids: npt.NDArray[np.str_]
    vectors: FloatArray
    num_images: npt.NDArray[np.int64]
    fuser: str | None = None
    embedder: str | None = None
    states: tuple[FusionState, ...] | None = None
    usability: npt.NDArray[np.float64] | None = None
    origin: str = field(default="", repr=False)
    """Where the set was read from, for messages; not saved."""

    def __post_init__(self) -> None:
        where = f" of {self.origin}" if self.origin else ""
        ids = checked_ids(self.ids, where)
        vectors = check_float_array(self.vectors, name="vectors", shape=(None, None), where=where)
        check_count(len(vectors), len(ids), name="vectors", where=where)
        check_finite_rows(vectors, name="vector", where=where)
        norms = row_norms(vectors)
        wrong = np.flatnonzero(np.abs(norms - 1) > UNIT_TOLERANCE)
        if len(wrong):
            raise InvalidInputError(
                f"vector of {str(ids[wrong[0]])!r}{where}: expected unit length, got "
                f"{norms[wrong[0]]:.6g} ({len(wrong)} such rows). Divide each by its length."
            )
        self._set("ids", ids)
        self._set("vectors", read_only(vectors))
        self._set("num_images", checked_counts(self.num_images, ids, where))
        for name in ("fuser", "embedder"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise DtypeError(f"{name}{where}: expected a text or None, got {value!r}.")
        if self.states is not None:
            self._set("states", tuple(self.states))
            check_states(
                self.states,
                ids=self.ids,
                num_images=self.num_images,
                fuser=self.fuser,
                embedder=self.embedder,
                where=where,
            )
        if self.usability is not None:
            self._set("usability", checked_numbers(self.usability, len(ids), where))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @staticmethod
    def of(
        templates: Mapping[str, Template], states: Mapping[str, FusionState] | None = None
    ) -> TemplateSet:
        """The set of these templates, in their order.

        Args:
            templates: Each person's, by id; all by one fuser and embedder.
            states: The states they were made of, by the same ids, or None.

        Raises:
            EmptySetError: For no templates.
            FuserMismatchError, EmbedderMismatchError: If they are of several fusers or embedders;
                an unknown one counts as another.
            ShapeError: If their dimensions differ.
            MismatchError: If `states` has other ids.
            InvalidInputError: As for the class.
        """
        if not templates:
            raise EmptySetError("templates: expected at least one, got none.")
        for name, error in (("fuser", FuserMismatchError), ("embedder", EmbedderMismatchError)):
            found = sorted({str(getattr(template, name)) for template in templates.values()})
            if len(found) > 1:
                raise error(
                    f"templates: expected one {name}, got {', '.join(found)}. Make all with the same."
                )
        dims = sorted({template.dim for template in templates.values()})
        if len(dims) > 1:
            raise ShapeError(f"templates: expected one dimension, got {dims}.")
        if states is not None and states.keys() != templates.keys():
            other = sorted(map(str, states.keys() ^ templates.keys()))[:3]
            raise MismatchError(f"states: expected those of the templates' ids, differ in {other}.")
        first = next(iter(templates.values()))
        return TemplateSet(
            ids=list(templates),  # type: ignore[arg-type]
            vectors=np.stack([template.vector for template in templates.values()]),
            num_images=np.array([template.num_images for template in templates.values()]),
            fuser=first.fuser,
            embedder=first.embedder,
            states=None if states is None else tuple(states[name] for name in templates),
            usability=_numbers_of(templates.values()),
        )

    @property
    def dim(self) -> int:
        """D, how many numbers a template has."""
        return int(self.vectors.shape[1])

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids.tolist())}

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids.tolist())

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Template:
        """The template of this id.

        Raises:
            UnknownNameError: If there is none; close ids are suggested.
        """
        place = self._places.get(name)
        if place is None:
            raise UnknownNameError("template", str(name), self)
        return Template.unchecked(
            vector=self.vectors[place],
            num_images=int(self.num_images[place]),
            fuser=self.fuser,
            embedder=self.embedder,
            weights=None,
            usability=None
            if self.usability is None
            else Usability.of_numbers(self.usability[place].tolist()),
        )

    @property
    def not_usable(self) -> tuple[str, ...]:
        """Ids of templates that are known not to be usable, in order."""
        if self.usability is None:
            return ()
        return tuple(self.ids[not_usable_rows(self.usability)].tolist())

    def __repr__(self) -> str:
        states = ", with states" if self.states is not None else ""
        return (
            f"<TemplateSet: {len(self)} templates of {int(self.num_images.sum())} images, "
            f"dim {self.dim}, fuser {self.fuser or 'unknown'}, "
            f"embedder {self.embedder or 'unknown'}{states}>"
        )

    def similarities(self, other: TemplateSet) -> FloatArray:
        """Cosines of all templates with all of another set, (T, U) float32 in [-1, 1].

        Raises:
            EmbedderMismatchError, FuserMismatchError: If both are known and differ.
            ShapeError: If the dimensions differ.
        """
        check_comparable(self, other)
        return _cosines(self.vectors, other.vectors)

    def nearest(self, other: TemplateSet | None = None) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """For each template the most similar one of another set, or of the others of this set.

        Compares all with all, some rows at a time; of equal ones the first is taken.

        Args:
            other: The set to look in. None for this one, where a template does not find itself.

        Returns:
            (T,) int64, its place in the other set, and (T,) float32, the similarity.

        Raises:
            EmbedderMismatchError, FuserMismatchError, ShapeError: As for `similarities`.
            EmptySetError: If `other` is None and this set holds one template.
        """
        among = self if other is None else other
        check_comparable(self, among)
        if other is None and len(self) == 1:
            raise EmptySetError("templates: expected at least two to compare, got one.")
        places = np.empty(len(self), np.int64)
        best = np.empty(len(self), np.float32)
        rows = max(1, _CELLS_AT_ONCE // len(among))
        for start in range(0, len(self), rows):
            block = _cosines(self.vectors[start : start + rows], among.vectors)
            number = np.arange(len(block))
            if other is None:
                block[number, start + number] = -np.inf
            found = block.argmax(axis=1)
            places[start : start + rows] = found
            best[start : start + rows] = block[number, found]
        return places, best

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the set as `.npz` or `.parquet`, by the ending; see `types.template_files`.

        Raises:
            FileFormatError: For another ending.
            OutputExistsError: If the file exists and `force` is False.
            MissingExtraError: If pyarrow is needed and not installed.
        """
        columns = TemplateColumns(
            ids=self.ids,
            num_images=self.num_images,
            vectors=self.vectors,
            fuser=self.fuser,
            embedder=self.embedder,
            states=self.states,
            usability=self.usability,
        )
        write_template_file(path, columns, force=force)

    @staticmethod
    def load(path: str | Path) -> TemplateSet:
        """Reads what `save` or `fuse_archive` wrote, `.npz` or `.parquet`.

        Ids that are integers in the file become their text: 17 is read as "17".

        Raises:
            MissingFileError: If the file does not exist.
            FileFormatError: If it is not such a file.
            InvalidInputError: If its columns are not valid; the message names file and id.
            MissingExtraError: If pyarrow is needed and not installed.
        """
        path = check_existing(path, name="templates")
        columns = read_template_file(path)
        ids = columns.ids
        return TemplateSet(
            ids=ids.astype(np.str_) if ids.dtype.kind in "iu" else ids,
            vectors=columns.vectors,
            num_images=columns.num_images,
            fuser=columns.fuser,
            embedder=columns.embedder,
            states=None if columns.states is None else tuple(columns.states),
            usability=columns.usability,
            origin=path.name,
        )


def _numbers_of(templates: Iterable[Template]) -> npt.NDArray[np.float64] | None:
    """(T, 5) of what is known of templates, or None if nothing is."""
    unknown = np.full(len(NUMBERS), np.nan)
    known = [unknown if each.usability is None else each.usability.numbers for each in templates]
    numbers = np.stack(known)
    return None if np.isnan(numbers).all() else numbers


def _cosines(first: FloatArray, second: FloatArray) -> FloatArray:
    similarities = first @ second.T
    clipped: FloatArray = np.clip(similarities, -1, 1, out=similarities)
    return clipped
