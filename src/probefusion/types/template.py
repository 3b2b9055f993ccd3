"""`Template`: one unit vector that stands for all images of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from probefusion.checks import check_finite_rows, check_float_array, read_only, row_norms
from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    FileFormatError,
    FuserMismatchError,
    InvalidInputError,
    ShapeError,
)
from probefusion.files import optional_text, read_npz, write_npz
from probefusion.types.embedding_set import UNIT_TOLERANCE, FloatArray
from probefusion.types.revisions import remedy_for_pair
from probefusion.types.usability import Usability, checked_numbers

__all__ = ["Template", "check_comparable"]

_REQUIRED = ("vector", "num_images")
_KEYS = (*_REQUIRED, "fuser", "embedder", "weights")
_USABILITY = "usability"


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """One unit vector that stands for all images of a person.

    Args:
        vector: (D,) floating point, kept as float32. Must have length 1 within `UNIT_TOLERANCE`.
        num_images: How many images went in.
        fuser: Fingerprint of the fuser, or None when unknown.
        embedder: Fingerprint of the embedder, or None when unknown.
        weights: (N,) share of each image in the result, >= 0 with sum 1, or None.
        usability: What can be expected of it, as it was estimated when it was finished; None where nobody did.

    Raises:
        ShapeError, DtypeError, NonFiniteError: As for `EmbeddingSet`.
        InvalidInputError: If the vector is not of unit length or the weights are no shares.
    """

    vector: FloatArray
    num_images: int
    fuser: str | None = None
    embedder: str | None = None
    weights: FloatArray | None = None
    usability: Usability | None = None

    def __post_init__(self) -> None:
        vector = check_float_array(self.vector, name="vector", shape=(None,))
        check_finite_rows(vector[None], name="vector")
        length = float(row_norms(vector[None])[0])
        if abs(length - 1) > UNIT_TOLERANCE:
            raise InvalidInputError(
                f"vector: expected unit length, got {length:.6g}. Divide it by its length."
            )
        object.__setattr__(self, "vector", read_only(vector))
        count: Any = self.num_images
        if isinstance(count, np.integer):
            object.__setattr__(self, "num_images", int(count))
        if type(self.num_images) is not int or self.num_images < 1:
            raise InvalidInputError(
                f"num_images: expected a whole number of at least 1, got {self.num_images!r}."
            )
        if self.weights is not None:
            weights = check_float_array(self.weights, name="weights", shape=(self.num_images,))
            check_finite_rows(weights[None], name="weights")
            if weights.min() < 0 or abs(float(weights.sum(dtype=np.float64)) - 1) > 1e-3:
                raise InvalidInputError(
                    f"weights: expected shares >= 0 with sum 1, got minimum {weights.min():.3g} "
                    f"and sum {weights.sum():.6g}."
                )
            object.__setattr__(self, "weights", read_only(weights))
        for name in ("fuser", "embedder"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise DtypeError(f"{name}: expected a text or None, got {value!r}.")
        if not isinstance(self.usability, Usability | None):
            raise DtypeError(
                f"usability: expected a Usability or None, got {type(self.usability).__name__}."
            )

    @staticmethod
    def unchecked(
        *,
        vector: FloatArray,
        num_images: int,
        fuser: str | None,
        embedder: str | None,
        weights: FloatArray | None,
        usability: Usability | None = None,
    ) -> Template:
        """A template of arrays that are known to be right, as those a fuser has just made.

        Args:
            vector: (D,) float32 of length 1.
            num_images: As for the class.
            fuser: As for the class.
            embedder: As for the class.
            weights: (N,) float32 shares, or None.
            usability: As for the class.
        """
        template: Template = object.__new__(Template)
        template.__dict__.update(
            vector=read_only(vector),
            num_images=num_images,
            fuser=fuser,
            embedder=embedder,
            weights=None if weights is None else read_only(weights),
            usability=usability,
        )
        return template

    @property
    def dim(self) -> int:
        """D, how many numbers the template has."""
        return len(self.vector)

    def __repr__(self) -> str:
        shares = ", with weights" if self.weights is not None else ""
        return (
            f"<Template: of {self.num_images} images, dim {self.dim}, fuser {self.fuser or 'unknown'}, "
            f"embedder {self.embedder or 'unknown'}{shares}>"
        )

    def similarity(self, other: Template) -> float:
        """Cosine between two templates, in [-1, 1]; higher means more alike.

        Raises:
            DtypeError: If the other is no template.
            EmbedderMismatchError: If both embedders are known and differ.
            FuserMismatchError: If both fusers are known and differ.
            ShapeError: If the dimensions differ.
        """
        if not isinstance(other, Template):
            raise DtypeError(
                f"other: expected a Template, got {type(other).__name__}. Fuse both sides; a vector "
                f"becomes one with Template(vector=..., num_images=...)."
            )
        check_comparable(self, other)
        cosine = float(np.dot(self.vector.astype(np.float64), other.vector.astype(np.float64)))
        return max(-1.0, min(1.0, cosine))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the template as `.npz`, with what can be expected of it.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
        """
        arrays = {name: getattr(self, name) for name in _KEYS}
        is_known = self.usability is not None and self.usability.similarity is not None
        if self.usability is not None and is_known:
            arrays[_USABILITY] = self.usability.numbers
        version = 2 if is_known else 1  # which releases that know no usability read too
        write_npz(path, kind="template", version=version, force=force, arrays=arrays)

    @staticmethod
    def load(path: str | Path) -> Template:
        """Reads a template written by `save`.

        Raises:
            MissingFileError: If the file does not exist.
            FileFormatError: If it is not a template file.
            InvalidInputError: If its arrays are not valid.
        """
        arrays = read_npz(
            path,
            kind="template",
            version=2,
            required=frozenset(_REQUIRED),
            optional=frozenset({*_KEYS, _USABILITY}).difference(_REQUIRED),
        )
        count = arrays["num_images"]
        if count.shape != () or count.dtype.kind not in "iu":
            raise FileFormatError(
                f"{Path(path).name}: num_images must be one integer, got {count!r}."
            )
        usability = None
        if _USABILITY in arrays:
            where = f" of {Path(path).name}"
            (numbers,) = checked_numbers(arrays[_USABILITY][None], 1, where)
            usability = Usability.of_numbers(numbers)
        return Template(
            vector=arrays["vector"],
            num_images=int(count),
            fuser=optional_text(arrays, "fuser"),
            embedder=optional_text(arrays, "embedder"),
            weights=arrays.get("weights"),
            usability=usability,
        )


class _Comparable(Protocol):
    """A template, or a set of them."""

    @property
    def fuser(self) -> str | None: ...
    @property
    def embedder(self) -> str | None: ...
    @property
    def dim(self) -> int: ...


def check_comparable(first: _Comparable, second: _Comparable) -> None:
    """Refuses templates whose cosine would mean nothing. An unknown fuser or embedder fits any.

    Raises:
        EmbedderMismatchError: If both embedders are known and differ.
        FuserMismatchError: If both fusers are known and differ.
        ShapeError: If the dimensions differ.
    """
    if None not in (first.embedder, second.embedder) and first.embedder != second.embedder:
        raise EmbedderMismatchError(
            f"templates of different embedders cannot be compared: {first.embedder} and "
            f"{second.embedder}. "
            f"{remedy_for_pair(first.embedder, second.embedder, 'Make both with the same embedder.')}"
        )
    if None not in (first.fuser, second.fuser) and first.fuser != second.fuser:
        raise FuserMismatchError(
            f"templates of different fusers cannot be compared: {first.fuser} and {second.fuser}. "
            f"Fuse both sides with the same fuser, single images too."
        )
    if first.dim != second.dim:
        raise ShapeError(f"templates: expected one dimension, got {first.dim} and {second.dim}.")
