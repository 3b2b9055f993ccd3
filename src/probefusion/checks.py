"""Validation of arrays and paths: one function per rule, each with one clear error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.workers import MAX_THREADS

__all__ = [
    "MAX_NORM",
    "MAX_QUALITY",
    "MIN_NORM",
    "check_finite_rows",
    "check_float_array",
    "check_length",
    "check_nonzero_rows",
    "check_not_empty",
    "check_quality",
    "check_threads",
    "read_only",
    "row_norms",
]

MIN_NORM = 1e-6
"""Embeddings shorter than this are refused: they have no usable direction."""

_ROWS_AT_ONCE = 512
"""Rows widened to float64 at a time, few enough for a processor's cache."""

_LARGEST_SQUARE = 1e76
"""Square roots of less fit float32."""

MAX_QUALITY = 4.0
"""Logarithms of weights lie within this of 0: `CropQuality` gives no larger ones."""

MAX_NORM = 1e6
"""Embeddings longer than this are refused: no network gives them, and float32 sums would suffer."""


def check_float_array(
    array: npt.ArrayLike, *, name: str, shape: tuple[int | None, ...], where: str = ""
) -> npt.NDArray[np.float32]:
    """Gives `array` as float32 after checking its type and shape.

    Args:
        array: Anything NumPy can read. float16, float32 and float64 are accepted.
        name: The argument's name, for the message.
        shape: Expected shape; None stands for any length.
        where: " of probe.npz" or the like, appended to the name in messages.

    Returns:
        The array as float32, C-contiguous; no copy where none is needed.

    Raises:
        DtypeError: If it is not a floating-point array.
        ShapeError: If the shape does not fit.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise DtypeError(
            f"{name}{where}: expected a plain array, got a masked one, whose mask would be lost. Select "
            f"the rows first."
        )
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise ShapeError(
            f"{name}{where}: expected an array of shape {describe_shape(shape)}, "
            f"got rows of different lengths. Give every image the same number of values."
        ) from error
    if given.dtype.kind != "f" or given.dtype.itemsize > 8:
        raise DtypeError(
            f"{name}{where}: expected float16, float32 or float64, got {given.dtype}. "
            f"Convert it with .astype('float32') if the values are meant as they are."
        )
    fits = given.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, given.shape, strict=True)
    )
    if not fits:
        hint = ""
        if given.ndim == 1 and len(shape) == 2:
            hint = " For a single image use embedding[None, :]."
        raise ShapeError(
            f"{name}{where}: expected shape {describe_shape(shape)}, got {given.shape}.{hint}"
        )
    if given.dtype.itemsize <= 4:
        return np.ascontiguousarray(given, dtype=np.float32)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(given, dtype=np.float32)


def describe_shape(shape: tuple[int | None, ...]) -> str:
    """The shape as text, with `*` for axes of any length."""
    inner = ", ".join("*" if length is None else str(length) for length in shape)
    return f"({inner})"


def check_length(values: object, length: int, *, name: str, where: str = "") -> None:
    """Refuses a per-image array whose first axis is not `length` long.

    Raises:
        ShapeError: If the lengths differ.
    """
    have = len(values)  # type: ignore[arg-type]
    if have != length:
        raise ShapeError(
            f"{name}{where}: expected one entry per image ({length}), got {have} entries."
        )


def check_finite_rows(array: npt.NDArray[np.float32], *, name: str, where: str = "") -> None:
    """Refuses NaN and infinity, naming the first row that has one.

    Raises:
        NonFiniteError: If any value is NaN or infinite.
    """
    # The sum of squares is finite unless a value is bad (or very large): one fast pass, as a rule the only one.
    if array.flags.c_contiguous:
        values = array.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(np.einsum("i,i->", values, values))
        if math.isfinite(squares):
            return
    flat = array.reshape(len(array), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(flat.sum(axis=1, dtype=np.float64)))
    for row in suspects:
        values = flat[row]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            what = "a NaN" if np.isnan(values[bad[0]]) else "an infinite value"
            raise NonFiniteError(
                f"{name} {row}{where} has {what} at position {bad[0]} (first of {len(bad)} in this "
                f"row). Remove that image from the set or embed it again."
            )


def check_quality(quality: npt.NDArray[Any], *, where: str = "") -> None:
    """Refuses scores of images that are no logarithms of weights, such as percentages.

    Args:
        quality: (N,) numbers.
        where: " of probe.npz" or the like, for messages.

    Raises:
        InvalidInputError: If one lies beyond `MAX_QUALITY`, or is NaN.
    """
    sizes = np.abs(quality)
    if not (sizes <= MAX_QUALITY).all():
        worst = quality[int(np.argmax(np.where(np.isnan(sizes), np.inf, sizes)))]
        raise InvalidInputError(
            f"quality{where}: expected logarithms of weights, within {MAX_QUALITY:g} of 0, as CropQuality judges "
            f"crops, got {worst:g}. Scores of another kind are not used: leave them out (--ignore-columns quality, "
            f"ignore=['quality'] of a table; save an .npz without the key; in an archive give the column another name)."
        )


def row_norms(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Euclidean length of each row, summed in float64.

    Args:
        array: (N, D) float32.

    Returns:
        (N,) float32.
    """
    squares = np.empty(len(array))
    for start in range(0, len(array), _ROWS_AT_ONCE):
        wide = array[start : start + _ROWS_AT_ONCE].astype(np.float64)
        np.einsum("nd,nd->n", wide, wide, out=squares[start : start + len(wide)])
    if squares.max(initial=0.0) < _LARGEST_SQUARE:
        lengths: npt.NDArray[np.float32] = np.sqrt(squares).astype(np.float32)
        return lengths
    with np.errstate(over="ignore"):
        return np.sqrt(squares).astype(np.float32)


def check_nonzero_rows(norms: npt.NDArray[np.float32], *, name: str, where: str = "") -> None:
    """Refuses embeddings shorter than `MIN_NORM` or longer than `MAX_NORM`, naming the first.

    Raises:
        ZeroLengthError: If a row has no usable length.
        InvalidInputError: If a row is too long to be an embedding.
    """
    long = np.flatnonzero(norms > MAX_NORM)
    if len(long):
        raise InvalidInputError(
            f"{name} {long[0]}{where} has length {norms[long[0]]:.3g}, expected at most {MAX_NORM:g} "
            f"({len(long)} such rows). No face-recognition network gives that: check the values."
        )
    short = np.flatnonzero(norms < MIN_NORM)
    if len(short):
        raise ZeroLengthError(
            f"{name} {short[0]}{where} has length {norms[short[0]]:.3g}, expected at least {MIN_NORM:g}: "
            f"it has no direction ({len(short)} such rows). Remove it; an all-zero row usually marks "
            f"a face that was not found."
        )


def check_not_empty(count: int, *, name: str, where: str = "") -> None:
    """Refuses a set of zero images.

    Raises:
        EmptySetError: If `count` is 0.
    """
    if count == 0:
        raise EmptySetError(
            f"{name}{where} is empty: expected at least one image. "
            f"Check that faces were found, or leave this person out."
        )


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of the array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_threads(num_threads: Any) -> int | None:
    """Gives a number of threads as it is; None stands for one per core.

    Raises:
        ConfigError: If it is no whole number, below 1, or more than `MAX_THREADS`.
    """
    if num_threads is None:
        return None
    if type(num_threads) is not int or not 1 <= num_threads <= MAX_THREADS:
        raise ConfigError(
            f"num_threads: expected a whole number of 1 to {MAX_THREADS}, or None for one per core, got "
            f"{num_threads!r}."
        )
    return num_threads
