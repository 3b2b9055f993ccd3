"""The value types that travel between the stages: `EmbeddingSet` and `Template`.

Both are frozen, validated once when built, and can be saved, loaded and passed on alone. The third
noun of the pipeline, `FusionState`, lives with the fusers in `probefusion.fusion`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import (
    check_finite_rows,
    check_float_array,
    check_length,
    check_nonzero_rows,
    check_not_empty,
    row_norms,
)
from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    FuserMismatchError,
    InvalidInputError,
    ShapeError,
)
from probefusion.files import read_npz, write_npz

__all__ = ["UNIT_TOLERANCE", "EmbeddingSet", "FloatArray", "Template"]

FloatArray = npt.NDArray[np.float32]

UNIT_TOLERANCE = 1e-3
"""Embeddings whose norms all lie within this of 1 are taken for normalised ones."""

_SET_KEYS = frozenset({"style", "media_ids", "sources", "embedder", "norms_known"})
_TEMPLATE_KEYS = frozenset({"fuser", "embedder", "weights"})


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingSet:
    """All images of one person, as a face-recognition network sees them.

    Args:
        embeddings: (N, D) floating point, kept as float32 with its length. N >= 1.
        style: (N, C, 2) floating point or None: per channel of the embedder's mid-level maps the
            mean and the unbiased standard deviation, stage 2 before stage 3.
        media_ids: (N,) integers or text or None: which still or video an image comes from.
        sources: (N,) text or None: file names or anything else that names the image.
        embedder: Fingerprint of the network, or None when unknown.
        norms_known: Whether the rows' lengths are the network's own. None (default) decides: False
            if every length is within `UNIT_TOLERANCE` of 1, else True.

    Raises:
        EmptySetError: For zero images.
        ShapeError: For a wrong number of axes or lengths that differ.
        DtypeError: For integers, booleans, objects or complex numbers.
        NonFiniteError: For NaN or infinity, naming the row.
        ZeroLengthError: For an embedding shorter than `probefusion.checks.MIN_NORM`.

    Duplicate images are kept: each counts. The arrays are read-only views where no conversion was
    needed: do not change the array you gave afterwards.

    Example:
        >>> import numpy as np
        >>> probe = EmbeddingSet(embeddings=np.array([[3.0, 4.0], [0.0, 2.0]]))
        >>> probe.num_images, probe.dim, probe.norms.tolist(), probe.norms_known
        (2, 2, [5.0, 2.0], True)
    """

    embeddings: FloatArray
    style: FloatArray | None = None
    media_ids: npt.NDArray[Any] | None = None
    sources: npt.NDArray[np.str_] | None = None
    embedder: str | None = None
    norms_known: bool | None = None
    origin: str = field(default="", repr=False)
    """Where the set was read from, for messages; not saved."""
    norms: FloatArray = field(init=False, repr=False)
    """(N,) float32, length of each embedding."""

    def __post_init__(self) -> None:
        where = f" of {self.origin}" if self.origin else ""
        embeddings = check_float_array(
            self.embeddings, name="embeddings", shape=(None, None), where=where
        )
        check_not_empty(len(embeddings), name="embeddings", where=where)
        check_finite_rows(embeddings, name="embedding", where=where)
        norms = row_norms(embeddings)
        check_nonzero_rows(norms, name="embedding", where=where)
        self._set("embeddings", _read_only(embeddings))
        self._set("norms", _read_only(norms))
        if self.style is not None:
            style = check_float_array(self.style, name="style", shape=(None, None, 2), where=where)
            check_length(style, len(embeddings), name="style", where=where)
            check_finite_rows(style, name="style", where=where)
            self._set("style", _read_only(style))
        if self.media_ids is not None:
            self._set("media_ids", _labels(self.media_ids, len(embeddings), "media_ids", where))
        if self.sources is not None:
            sources = _labels(self.sources, len(embeddings), "sources", where)
            self._set("sources", _read_only(sources.astype(np.str_)))
        if self.embedder is not None and not isinstance(self.embedder, str):
            raise DtypeError(f"embedder{where}: expected a text or None, got {self.embedder!r}.")
        if self.norms_known is not None and not isinstance(self.norms_known, bool):
            raise DtypeError(
                f"norms_known{where}: expected True, False or None, got {self.norms_known!r}."
            )
        if self.norms_known is None:
            self._set("norms_known", bool(np.abs(norms - 1).max() > UNIT_TOLERANCE))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def num_images(self) -> int:
        """N, how many images the set holds; at least 1."""
        return len(self.embeddings)

    @property
    def dim(self) -> int:
        """D, how many numbers an embedding has."""
        return int(self.embeddings.shape[1])

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray[Any]) -> EmbeddingSet:
        """The images at `index` (a slice, or a list of positions, or a mask) as a set of their own.

        Raises:
            EmptySetError: If nothing is selected.
            ShapeError: For a single integer; use `[i:i + 1]`.
        """
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1:
                raise ShapeError(
                    "index: expected a slice or a list of positions; use set[i:i+1] for one image."
                )
            if index.size == 0:
                raise EmptySetError("index selects no image: expected at least one.")
            is_mask = index.dtype.kind == "b" and len(index) == self.num_images
            is_list = index.dtype.kind in "iu" and bool(
                ((index >= -self.num_images) & (index < self.num_images)).all()
            )
            if not (is_mask or is_list):
                raise ShapeError(
                    f"index: expected positions below {self.num_images} or a mask of that length, got "
                    f"{index.dtype} of shape {index.shape}."
                )
        return EmbeddingSet(
            embeddings=self.embeddings[index],
            style=None if self.style is None else self.style[index],
            media_ids=None if self.media_ids is None else self.media_ids[index],
            sources=None if self.sources is None else self.sources[index],
            embedder=self.embedder,
            norms_known=self.norms_known,
            origin=self.origin,
        )

    def chunks(self, size: int) -> Iterator[EmbeddingSet]:
        """Consecutive parts of `size` images, the last one possibly shorter.

        Raises:
            InvalidInputError: If `size` is below 1.
        """
        if size < 1:
            raise InvalidInputError(f"size: expected at least 1 image per chunk, got {size}.")
        for start in range(0, self.num_images, size):
            yield self[start : start + size]

    @staticmethod
    def concatenate(sets: Iterable[EmbeddingSet]) -> EmbeddingSet:
        """One set of all images of several sets of the same person.

        Style, media ids and sources are kept only if every part has them, since half a column
        cannot be kept honestly; mixing parts with and without style is therefore refused.

        Raises:
            EmptySetError: If there are no sets.
            EmbedderMismatchError: If they come from different embedders.
            ShapeError: If their dimensions differ or only some have style.
        """
        parts = list(sets)
        check_not_empty(len(parts), name="sets")
        fingerprints = {part.embedder for part in parts}
        if len(fingerprints) > 1:
            raise EmbedderMismatchError(
                f"sets: expected embeddings of one embedder, got {sorted(map(str, fingerprints))}. "
                f"Embed all images with the same model."
            )
        dims = {part.dim for part in parts}
        if len(dims) > 1:
            raise ShapeError(f"sets: expected one dimension, got {sorted(dims)}.")
        channels = {part.style.shape[1] for part in parts if part.style is not None}
        if len(channels) > 1:
            raise ShapeError(
                f"sets: expected one number of style channels, got {sorted(channels)}."
            )
        columns: dict[str, Any] = {}
        for name in ("style", "media_ids", "sources"):
            values = [getattr(part, name) for part in parts]
            have = sum(value is not None for value in values)
            if name == "style" and 0 < have < len(values):
                raise ShapeError(
                    f"sets: expected style in all sets or in none, got it in {have} of {len(values)}."
                )
            columns[name] = np.concatenate(values) if have == len(values) else None
        return EmbeddingSet(
            embeddings=np.concatenate([part.embeddings for part in parts]),
            embedder=parts[0].embedder,
            norms_known=all(part.norms_known for part in parts),
            **columns,
        )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the set as `.npz`.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
        """
        write_npz(
            path,
            kind="embedding_set",
            version=1,
            force=force,
            arrays={
                "embeddings": self.embeddings,
                "style": self.style,
                "media_ids": self.media_ids,
                "sources": self.sources,
                "embedder": self.embedder,
                "norms_known": self.norms_known,
            },
        )

    @staticmethod
    def load(path: str | Path) -> EmbeddingSet:
        """Reads a set written by `save`, or any `.npz` with at least the key `embeddings`.

        Raises:
            MissingFileError: If the file does not exist.
            FileFormatError: If it is not such a file.
            InvalidInputError: If its arrays are not valid; the message names file and row.
        """
        arrays = read_npz(
            path,
            kind="embedding_set",
            version=1,
            required=frozenset({"embeddings"}),
            optional=_SET_KEYS,
        )
        known = arrays.get("norms_known")
        if known is not None and (known.shape != () or known.dtype.kind != "b"):
            raise FileFormatError(
                f"{Path(path).name}: norms_known must be one boolean, got {known!r}."
            )
        return EmbeddingSet(
            embeddings=arrays["embeddings"],
            style=arrays.get("style"),
            media_ids=arrays.get("media_ids"),
            sources=arrays.get("sources"),
            embedder=_optional_text(arrays, "embedder"),
            norms_known=None if known is None else bool(known),
            origin=Path(path).name,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """One unit vector that stands for all images of a person.

    Args:
        vector: (D,) floating point, kept as float32. Must have length 1 within `UNIT_TOLERANCE`.
        num_images: How many images went in.
        fuser: Fingerprint of the fuser, or None when unknown.
        embedder: Fingerprint of the embedder, or None when unknown.
        weights: (N,) share of each image in the result, >= 0 with sum 1, or None.

    Raises:
        ShapeError, DtypeError, NonFiniteError: As for `EmbeddingSet`.
        InvalidInputError: If the vector is not of unit length or the weights are no shares.
    """

    vector: FloatArray
    num_images: int
    fuser: str | None = None
    embedder: str | None = None
    weights: FloatArray | None = None

    def __post_init__(self) -> None:
        vector = check_float_array(self.vector, name="vector", shape=(None,))
        check_finite_rows(vector[None], name="vector")
        length = float(row_norms(vector[None])[0])
        if abs(length - 1) > UNIT_TOLERANCE:
            raise InvalidInputError(
                f"vector: expected unit length, got {length:.6g}. Divide it by its length."
            )
        object.__setattr__(self, "vector", _read_only(vector))
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
            object.__setattr__(self, "weights", _read_only(weights))

    @property
    def dim(self) -> int:
        """D, how many numbers the template has."""
        return len(self.vector)

    def similarity(self, other: Template) -> float:
        """Cosine between two templates, in [-1, 1]; higher means more alike.

        Raises:
            EmbedderMismatchError: If both embedders are known and differ.
            FuserMismatchError: If both fusers are known and differ.
            ShapeError: If the dimensions differ.
        """
        if None not in (self.embedder, other.embedder) and self.embedder != other.embedder:
            raise EmbedderMismatchError(
                f"templates of different embedders cannot be compared: {self.embedder} and "
                f"{other.embedder}. Make both with the same embedder."
            )
        if None not in (self.fuser, other.fuser) and self.fuser != other.fuser:
            raise FuserMismatchError(
                f"templates of different fusers cannot be compared: {self.fuser} and {other.fuser}. "
                f"Fuse both sides with the same fuser, single images too."
            )
        if self.dim != other.dim:
            raise ShapeError(f"templates: expected one dimension, got {self.dim} and {other.dim}.")
        cosine = float(np.dot(self.vector.astype(np.float64), other.vector.astype(np.float64)))
        return max(-1.0, min(1.0, cosine))

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the template as `.npz`.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
        """
        write_npz(
            path,
            kind="template",
            version=1,
            force=force,
            arrays={
                "vector": self.vector,
                "num_images": self.num_images,
                "fuser": self.fuser,
                "embedder": self.embedder,
                "weights": self.weights,
            },
        )

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
            version=1,
            required=frozenset({"vector", "num_images"}),
            optional=_TEMPLATE_KEYS,
        )
        count = arrays["num_images"]
        if count.shape != () or count.dtype.kind not in "iu":
            raise FileFormatError(
                f"{Path(path).name}: num_images must be one integer, got {count!r}."
            )
        return Template(
            vector=arrays["vector"],
            num_images=int(count),
            fuser=_optional_text(arrays, "fuser"),
            embedder=_optional_text(arrays, "embedder"),
            weights=arrays.get("weights"),
        )


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _labels(values: object, length: int, name: str, where: str) -> npt.NDArray[Any]:
    labels = np.asarray(values)
    if labels.dtype.kind not in "iuU":
        raise DtypeError(f"{name}{where}: expected integers or texts, got {labels.dtype}.")
    if labels.ndim != 1:
        raise ShapeError(f"{name}{where}: expected one entry per image, got shape {labels.shape}.")
    check_length(labels, length, name=name, where=where)
    return _read_only(labels)


def _optional_text(arrays: dict[str, npt.NDArray[Any]], key: str) -> str | None:
    if key not in arrays:
        return None
    if arrays[key].shape != () or arrays[key].dtype.kind != "U":
        raise FileFormatError(f"{key}: expected one text, got {arrays[key]!r}.")
    return str(arrays[key])
