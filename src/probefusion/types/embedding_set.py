"""`EmbeddingSet`: all images of one person."""

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
    check_quality,
    read_only,
    row_norms,
)
from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    ShapeError,
)
from probefusion.files import optional_text, read_npz, write_npz
from probefusion.types.revisions import remedy_for_pair

__all__ = ["MOST_CHIP_BYTES", "UNIT_TOLERANCE", "EmbeddingSet", "FloatArray"]

FloatArray = npt.NDArray[np.float32]

UNIT_TOLERANCE = 1e-3
"""Embeddings whose norms all lie within this of 1 are taken for normalised ones."""

_COLUMNS = ("style", "quality", "detector_scores", "media_ids", "sources")
"""What a set may know of each image beside its embedding."""

_NUMBERS = {"style": (None, None, 2), "quality": (None,), "detector_scores": (None,)}
"""Those that are floating-point numbers, and their shapes."""

_CARRIED = (*_COLUMNS, "chips")
"""What goes with the images into parts of a set."""

MOST_CHIP_BYTES = 1 << 16
"""A small picture of a face is at most so large."""

_JPEG_START = b"\xff\xd8\xff"

_OPTIONAL_KEYS = (*_COLUMNS, "embedder", "norms_known")


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingSet:
    """All images of one person, as a face-recognition network sees them.

    Args:
        embeddings: (N, D) floating point, kept as float32 with its length. N >= 1.
        style: (N, C, 2) floating point or None: per channel of the embedder's mid-level maps the
            mean and the unbiased standard deviation, stage 2 before stage 3.
        quality: (N,) floating point or None: logarithm of the weight that each image deserves by the
            look of its crop (`probefusion.embedders.CropQuality`), whatever the embedder; within 4 of 0.
        detector_scores: (N,) floating point or None: how sure the face detector was of each image's face. No
            fuser weighs by it; scores of different detectors do not compare.
        media_ids: (N,) integers or text or None: which still or video an image comes from.
        sources: (N,) text or None: file names or anything else that names the image.
        embedder: Fingerprint of the network (`load_embedder(...).fingerprint`), or None when unknown.
            Fusers that were made for one embedder take only sets that say they are of it: this is how to
            say it of embeddings that you made with it.
        norms_known: Whether the rows' lengths are the network's own. None (default) decides: False
            if every length is within `UNIT_TOLERANCE` of 1, else True.

        chips: N small pictures of the faces for the eye, JPEG bytes of at most `MOST_CHIP_BYTES` each, or None where
            there is none; None for none at all. They are personal data: a pipeline makes them only when asked
            (`keep_chips=True`), a gallery keeps those that a set has, and `save` does not write them.

    Raises:
        EmptySetError: For zero images.
        ShapeError: For a wrong number of axes or lengths that differ.
        DtypeError: For integers, booleans, objects or complex numbers.
        NonFiniteError: For NaN or infinity, naming the row.
        InvalidInputError: For quality that is no logarithm of a weight, as percentages.
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
    quality: FloatArray | None = None
    detector_scores: FloatArray | None = None
    media_ids: npt.NDArray[Any] | None = None
    sources: npt.NDArray[np.str_] | None = None
    embedder: str | None = None
    norms_known: bool | None = None
    chips: npt.NDArray[np.object_] | Sequence[bytes | None] | None = field(default=None, repr=False)
    origin: str = field(default="", repr=False)
    """Where the set was read from, for messages; not saved."""
    was_stored: bool = field(default=False, repr=False)
    """Whether a gallery or a session kept it: it was checked by the release that took it, of which some took any
    finite quality, and stays usable as it is. Parts and unions of such sets are such sets. Not saved."""
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
        self._set("embeddings", read_only(embeddings))
        self._set("norms", read_only(norms))
        for name, shape in _NUMBERS.items():
            if getattr(self, name) is None:
                continue
            column = check_float_array(getattr(self, name), name=name, shape=shape, where=where)
            check_length(column, len(embeddings), name=name, where=where)
            check_finite_rows(column.reshape(len(column), -1), name=name, where=where)
            self._set(name, read_only(column))
        if self.quality is not None and not self.was_stored:
            check_quality(self.quality, where=where)
        if self.media_ids is not None:
            self._set("media_ids", _labels(self.media_ids, len(embeddings), "media_ids", where))
        if self.sources is not None:
            sources = _labels(self.sources, len(embeddings), "sources", where)
            self._set("sources", read_only(sources.astype(np.str_)))
        if self.chips is not None:
            self._set("chips", _pictures(self.chips, len(embeddings), where))
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

    def __repr__(self) -> str:
        style = "" if self.style is None else f", style of {self.style.shape[1]} channels"
        known = [name for name in _CARRIED[1:] if getattr(self, name) is not None]
        lengths = "" if self.norms_known else ", lengths unknown"
        return (
            f"<EmbeddingSet: {self.num_images} images, dim {self.dim}{style}"
            f"{''.join(f', {name}' for name in known)}{lengths}, embedder {self.embedder or 'unknown'}>"
        )

    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray[Any]) -> EmbeddingSet:
        """The images at `index` (a slice, or a list of positions, or a mask) as a set of their own.

        Raises:
            EmptySetError: If nothing is selected.
            ShapeError: For a single integer; use `[i:i + 1]`.
        """
        if isinstance(index, slice):
            return self._part(index)
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
        return self._part(index)

    def _part(self, index: slice | npt.NDArray[Any]) -> EmbeddingSet:
        """Some images, as views where they follow each other; nothing is checked again."""
        check_not_empty(len(self.norms[index]), name="selected images")
        part: EmbeddingSet = object.__new__(EmbeddingSet)
        for name in ("embeddings", "norms", *_CARRIED):
            array = getattr(self, name)
            part._set(
                name, None if array is None else read_only(np.ascontiguousarray(array[index]))
            )
        for name in ("embedder", "norms_known", "origin", "was_stored"):
            part._set(name, getattr(self, name))
        return part

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

        Style, quality, detector scores, media ids and sources are kept only if every part has them, since half
        a column cannot be kept honestly; mixing parts with and without style is therefore refused. Chips are kept
        if any part has them: an image may lack its own.

        Raises:
            EmptySetError: If there are no sets.
            EmbedderMismatchError: If they come from different embedders.
            ShapeError: If their dimensions differ or only some have style.
        """
        parts = list(sets)
        check_not_empty(len(parts), name="sets")
        fingerprints = {part.embedder for part in parts}
        if len(fingerprints) > 1:
            names = sorted(map(str, fingerprints))
            raise EmbedderMismatchError(
                f"sets: expected embeddings of one embedder, got {names}. "
                f"{remedy_for_pair(names[0], names[1], 'Embed all images with the same model.')}"
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
        for name in _COLUMNS:
            values = [getattr(part, name) for part in parts]
            have = sum(value is not None for value in values)
            if name == "style" and 0 < have < len(values):
                raise ShapeError(
                    f"sets: expected style in all sets or in none, got it in {have} of {len(values)}."
                )
            columns[name] = np.concatenate(values) if have == len(values) else None
        if any(part.chips is not None for part in parts):
            columns["chips"] = [
                chip
                for part in parts
                for chip in ([None] * len(part) if part.chips is None else part.chips)
            ]
        return EmbeddingSet(
            embeddings=np.concatenate([part.embeddings for part in parts]),
            embedder=parts[0].embedder,
            norms_known=all(part.norms_known for part in parts),
            was_stored=any(part.was_stored for part in parts),
            **columns,
        )

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes the set as `.npz`.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
            InvalidInputError: If a former release kept a quality that `load` would refuse.
        """
        if self.quality is not None:
            check_quality(self.quality, where=f" for {Path(path).name}")
        arrays = {name: getattr(self, name) for name in ("embeddings", *_OPTIONAL_KEYS)}
        write_npz(path, kind="embedding_set", version=1, force=force, arrays=arrays)

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
            optional=frozenset(_OPTIONAL_KEYS),
        )
        known = arrays.get("norms_known")
        if known is not None and (known.shape != () or known.dtype.kind != "b"):
            raise FileFormatError(
                f"{Path(path).name}: norms_known must be one boolean, got {known!r}."
            )
        columns: dict[str, Any] = {name: arrays.get(name) for name in _COLUMNS}
        return EmbeddingSet(
            embeddings=arrays["embeddings"],
            **columns,
            embedder=optional_text(arrays, "embedder"),
            norms_known=None if known is None else bool(known),
            origin=Path(path).name,
        )


def _pictures(chips: object, length: int, where: str) -> npt.NDArray[np.object_]:
    """The chips as (N,) objects.

    Raises:
        DtypeError: If one is neither the bytes of a JPEG picture nor None.
        ShapeError: If they are not one an image.
        InvalidInputError: If one is too large.
    """
    if isinstance(chips, str | bytes) or not isinstance(chips, Sequence | np.ndarray):
        raise DtypeError(
            f"chips{where}: expected a list of JPEG bytes or None, got {type(chips).__name__}."
        )
    pictures = list(chips)
    if len(pictures) != length:
        raise ShapeError(
            f"chips{where}: expected one entry per image ({length}), got {len(pictures)}. Give None for none."
        )
    column = np.empty(length, dtype=object)
    for place, chip in enumerate(pictures):
        if chip is None:
            continue
        if not isinstance(chip, bytes) or not chip.startswith(_JPEG_START):
            raise DtypeError(
                f"chips{where}: expected JPEG bytes or None, got {type(chip).__name__} at image {place}."
            )
        if len(chip) > MOST_CHIP_BYTES:
            raise InvalidInputError(
                f"chips{where}: expected at most {MOST_CHIP_BYTES:,} bytes, got {len(chip):,} at image {place}. Scale "
                f"it down."
            )
        column[place] = chip
    return read_only(column)


def _labels(values: object, length: int, name: str, where: str) -> npt.NDArray[Any]:
    labels = np.asarray(values)
    if labels.dtype.kind not in "iuU":
        raise DtypeError(f"{name}{where}: expected integers or texts, got {labels.dtype}.")
    if labels.ndim != 1:
        raise ShapeError(f"{name}{where}: expected one entry per image, got shape {labels.shape}.")
    check_length(labels, length, name=name, where=where)
    return read_only(labels)
