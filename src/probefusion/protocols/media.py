"""How IJB templates are formed: the InsightFace helper's media means, and CAFace's chunks.

Two rules are in use and their numbers must not be mixed; a report names the one it used.

- The helper: the mean of each medium's images, the sum of these means over the media, divided by
  its length (`media_mean_then_sum`, `media_mean_then_sum_ragged`). A video of 200 frames weighs as
  much as one still.
- The official CAFace evaluation: all images of a template go to the fuser jointly, in the order of
  the file and without regard to media, fed one part after the other (`caface_chunk_offsets`);
  lengths are kept, mirrored images and detector scores are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from probefusion.checks import (
    MIN_NORM,
    check_finite_rows,
    check_float_array,
    check_length,
    check_nonzero_rows,
    check_not_empty,
    row_norms,
)
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    InvalidInputError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.protocols.templates import TemplateIndex
from probefusion.types import FloatArray

__all__ = [
    "CAFACE_CHUNK_SIZES",
    "caface_chunk_offsets",
    "media_mean_then_sum",
    "media_mean_then_sum_ragged",
]

CAFACE_CHUNK_SIZES: tuple[int | None, ...] = (4, 8, 32, 64, 128, 256, None)
"""Largest part, in images, that the official CAFace evaluation feeds at once on IJB-B and IJB-C: it
reports every entry; None stands for all images of the template at once.

Source: the evaluation script of the authors' repository (which writes 9999 for "all")."""

_BLOCK_ROWS = 16384


def caface_chunk_offsets(num_images: int, max_images: int | None) -> npt.NDArray[np.int64]:
    """Where the official CAFace evaluation cuts a template into parts.

    A template of N images becomes ceil(N / max_images) consecutive parts whose lengths differ by
    at most one, the longer ones first: 10 images at most 4 at a time are 4, 3 and 3, not 4, 4, 2.

    Args:
        num_images: N, at least 1.
        max_images: An entry of `CAFACE_CHUNK_SIZES` or any number from 1; None for no cut.

    Returns:
        (K + 1,) int64, part k holds the images from entry k to entry k + 1.

    Raises:
        EmptySetError: For zero images.
        InvalidInputError: If `max_images` is below 1.

    Source: the evaluation script of the authors' repository.

    Example:
        >>> caface_chunk_offsets(10, 4).tolist()
        [0, 4, 7, 10]
    """
    check_not_empty(num_images, name="num_images")
    if max_images is None:
        return np.array([0, num_images])
    if max_images < 1:
        raise InvalidInputError(f"max_images: expected at least 1 image, got {max_images}.")
    parts = -(-num_images // max_images)
    shorter, longer = divmod(num_images, parts)
    sizes = np.full(parts, shorter, dtype=np.int64)
    sizes[:longer] += 1
    return np.concatenate(([0], np.cumsum(sizes)))


def media_mean_then_sum(
    embeddings: npt.ArrayLike,
    media_ids: npt.ArrayLike,
    *,
    flipped: npt.ArrayLike | None = None,
    keep_norms: bool = True,
    detector_scores: npt.ArrayLike | None = None,
) -> FloatArray:
    """One template by the InsightFace helper's rule: mean per medium, sum over media, unit length.

    Args:
        embeddings: (N, D) floating point, one person's images.
        media_ids: (N,) integers or text: which still or video an image comes from.
        flipped: (N, D) floating point or None: embeddings of the mirrored images, which the helper
            adds to those of the images before anything else.
        keep_norms: Whether an embedding's length weighs it (the helper's "N1"); if False each
            image, after adding its mirrored self, is first brought to unit length ("N0").
        detector_scores: (N,) floating point or None: a weight per image, multiplied in after the
            lengths are dealt with (the helper's "D1").

    Returns:
        (D,) float32 of unit length. The order of images and media does not matter beyond rounding.

    Raises:
        EmptySetError, ShapeError, DtypeError, NonFiniteError: For unusable arrays.
        ZeroLengthError: For an embedding without direction, or if the media cancel out.
        InvalidInputError: For a negative detector score.

    Example:
        >>> template = media_mean_then_sum([[2.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [5, 5, 9])
        >>> [f"{value:.2f}" for value in template]
        ['0.60', '0.80']
    """
    images = check_float_array(embeddings, name="embeddings", shape=(None, None))
    check_not_empty(len(images), name="embeddings")
    labels = np.asarray(media_ids)
    if labels.dtype.kind not in "iuU":
        raise DtypeError(f"media_ids: expected integers or texts, got {labels.dtype}.")
    if labels.shape != (len(images),):
        raise ShapeError(f"media_ids: expected shape ({len(images)},), got {labels.shape}.")
    _, media = np.unique(labels, return_inverse=True)
    index = TemplateIndex.from_columns(np.zeros(len(images), dtype=np.int32), media)
    rows = media_mean_then_sum_ragged(
        images,
        index,
        flipped=flipped,
        keep_norms=keep_norms,
        detector_scores=detector_scores,
    )
    template: FloatArray = rows[0]
    return template


def media_mean_then_sum_ragged(
    embeddings: npt.ArrayLike,
    index: TemplateIndex,
    *,
    flipped: npt.ArrayLike | None = None,
    keep_norms: bool = True,
    detector_scores: npt.ArrayLike | None = None,
    empty: Literal["refuse", "zero"] = "refuse",
) -> FloatArray:
    """All templates of a benchmark by the rule of `media_mean_then_sum`.

    Works through the templates in blocks of some 16,000 images with float64 sums, so that beside
    input and result only some 100 MB are needed, and without a loop over templates or media.

    Args:
        embeddings: (N, D) floating point, one row per image of the benchmark.
        index: Which rows and media make up each template.
        flipped: As in `media_mean_then_sum`.
        keep_norms: As in `media_mean_then_sum`.
        detector_scores: As in `media_mean_then_sum`.
        empty: What becomes of a template without images: "refuse" is an error, "zero" gives a row
            of zeros as the published IJB-S evaluation does. `index.empty` lists these templates.

    Returns:
        (T, D) float32, rows of unit length (or zero), in the order of `index`.

    Raises:
        EmptySetError: For a template without images when `empty` is "refuse".
        ShapeError: If an array's length is not the number of images or the index points beyond it.
        DtypeError, NonFiniteError: For unusable arrays.
        ZeroLengthError: For an embedding without direction, or if the media of a template cancel.
        InvalidInputError: For a negative detector score.
        ConfigError: For another `empty`.
    """
    if empty not in ("refuse", "zero"):
        raise ConfigError(f"empty: expected 'refuse' or 'zero', got {empty!r}.")
    images = _checked(embeddings, name="embeddings")
    mirrored = None
    if flipped is not None:
        mirrored = _checked(flipped, name="flipped")
        if mirrored.shape != images.shape:
            raise ShapeError(f"flipped: expected shape {images.shape}, got {mirrored.shape}.")
    scores = None if detector_scores is None else _checked_scores(detector_scores, len(images))
    if len(index.rows) and int(index.rows.max()) >= len(images):
        raise ShapeError(
            f"embeddings: expected one row per image of the benchmark, at least "
            f"{int(index.rows.max()) + 1}, got {len(images)}."
        )
    if empty == "refuse" and len(index.empty):
        missing = index.template_ids[index.empty]
        raise EmptySetError(
            f"template {missing[0]} has no images ({len(missing)} such templates). Leave them out "
            f"and count them as failures to acquire, or pass empty='zero' for the published rule."
        )
    templates = np.zeros((index.num_templates, images.shape[1]), dtype=np.float32)
    for begin, end in _blocks(index):
        entries = slice(int(index.offsets[begin]), int(index.offsets[end]))
        owners = np.repeat(np.arange(begin, end), index.sizes[begin:end])
        media = index.media_ids[entries]
        order = np.lexsort((media, owners))
        rows, owners, media = index.rows[entries][order], owners[order], media[order]
        values = images[rows].astype(np.float64)
        if mirrored is not None:
            values += mirrored[rows]
        if not keep_norms:
            lengths = np.sqrt(np.einsum("nd,nd->n", values, values))
            _refuse_short(lengths, rows, what="image")
            values /= lengths[:, None]
        if scores is not None:
            values *= scores[rows][:, None]
        new_owner = owners[1:] != owners[:-1]
        starts = _starts(new_owner | (media[1:] != media[:-1]))
        counts = np.diff(np.append(starts, len(owners)))
        means = np.add.reduceat(values, starts, axis=0) / counts[:, None]
        medium_owners = owners[starts]
        firsts = _starts(medium_owners[1:] != medium_owners[:-1])
        sums = np.add.reduceat(means, firsts, axis=0)
        lengths = np.sqrt(np.einsum("td,td->t", sums, sums))
        present = medium_owners[firsts]
        _refuse_short(lengths, index.template_ids[present], what="template")
        templates[present] = sums / lengths[:, None]
    return templates


def _checked(values: npt.ArrayLike, *, name: str) -> FloatArray:
    array = check_float_array(values, name=name, shape=(None, None))
    check_finite_rows(array, name=name)
    check_nonzero_rows(row_norms(array), name=name)
    return array


def _checked_scores(values: npt.ArrayLike, length: int) -> FloatArray:
    scores = check_float_array(values, name="detector_scores", shape=(None,))
    check_length(scores, length, name="detector_scores")
    check_finite_rows(scores, name="detector_scores")
    if len(scores) and scores.min() < 0:
        row = int(np.argmin(scores))
        raise InvalidInputError(
            f"detector_scores {row}: expected a weight >= 0, got {scores[row]:.6g}."
        )
    return scores


def _blocks(index: TemplateIndex) -> Iterator[tuple[int, int]]:
    """Ranges of templates with about `_BLOCK_ROWS` entries each and at least one."""
    begin = 0
    while begin < index.num_templates:
        target = index.offsets[begin] + _BLOCK_ROWS
        end = int(np.searchsorted(index.offsets, target, side="right")) - 1
        end = min(max(end, begin + 1), index.num_templates)
        if index.offsets[end] > index.offsets[begin]:
            yield begin, end
        begin = end


def _starts(changes: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Where runs start, given for each entry but the first whether it differs from the one before."""
    return np.flatnonzero(np.concatenate(([True], changes)))


def _refuse_short(
    lengths: npt.NDArray[np.float64], labels: npt.NDArray[np.int32], *, what: str
) -> None:
    short = np.flatnonzero(lengths < MIN_NORM)
    if len(short):
        raise ZeroLengthError(
            f"{what} {labels[short[0]]} has length {lengths[short[0]]:.3g} before it is brought to "
            f"unit length, expected at least {MIN_NORM:g} ({len(short)} such). Its parts cancel "
            f"out or weigh nothing; leave it out."
        )
