"""Validation of arrays and paths: one function per rule, each with one clear error."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    MissingFileError,
    NonFiniteError,
    OutputExistsError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.workers import MAX_THREADS

__all__ = [
    "MAX_NORM",
    "MIN_NORM",
    "as_path",
    "check_existing",
    "check_file",
    "check_finite_rows",
    "check_float_array",
    "check_length",
    "check_name",
    "check_nonzero_rows",
    "check_not_empty",
    "check_not_input",
    "check_output",
    "check_output_file",
    "check_threads",
    "lfs_oid",
    "read_only",
    "row_norms",
]

_LFS_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER = 1024
_LONGEST_NAME = 255
"""Bytes of a file's name that common file systems take."""

MIN_NORM = 1e-6
"""Embeddings shorter than this are refused: they have no usable direction."""

_ROWS_AT_ONCE = 512
"""Rows widened to float64 at a time, few enough for a processor's cache."""

_LARGEST_SQUARE = 1e76
"""Square roots of less fit float32."""

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


def check_existing(path: str | Path, *, name: str = "path", devices: bool = False) -> Path:
    """Gives `path` as a Path that exists, a file or a folder.

    Args:
        path: The path.
        name: What it is called in messages.
        devices: Whether pipes and devices are let through, as for a camera.

    Raises:
        DtypeError: If it is no path.
        MissingFileError: If nothing is there.
        FileFormatError: If it is a pipe, a device or a socket, whose reading may never end, or nothing
            can be said of it because a folder above may not be entered; or a pointer of Git LFS that
            stands in for the file.
    """
    path = as_path(path, name)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise MissingFileError(
            f"{name} {str(path)!r} does not exist (looked in {_working_folder()})."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            raise MissingFileError(
                f"{name} {_shortened(path)} does not exist ({error.strerror})."
            ) from error
        raise FileFormatError(
            f"{name} {str(path)!r}: could not be looked at ({error.strerror}). Check its permissions."
        ) from error
    if not devices and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileFormatError(
            f"{name} {str(path)!r} is a pipe, a device or a socket, expected a file or a folder. "
            f"Save its content to a file first."
        )
    oid = lfs_oid(path)
    if oid is not None:
        raise FileFormatError(
            f"{name} {str(path)!r}: a Git LFS pointer, not the file itself, whose SHA-256 is {oid}. Fetch it: "
            f"git lfs pull, in the repository that it comes from."
        )
    return path


def check_file(path: str | Path, *, name: str = "file") -> Path:
    """Gives `path` as a Path to a regular file.

    Raises:
        DtypeError, MissingFileError: As for `check_existing`.
        FileFormatError: If it is a folder, a pipe, a device or a socket, or may not be read.
    """
    path = check_existing(path, name=name)
    if path.is_dir():
        raise FileFormatError(f"{name} {str(path)!r}: expected a file, got a folder.")
    if not os.access(path, os.R_OK):
        raise FileFormatError(
            f"{name} {str(path)!r} may not be read. Change its permissions, or name another."
        )
    return path


def as_path(path: object, name: str) -> Path:
    """Gives a text or path as a Path.

    Raises:
        DtypeError: If it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise DtypeError(f"{name}: expected a path (a text or pathlib.Path), got {_brief(path)}.")
    return Path(path)


def _brief(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _shortened(path: Path) -> str:
    text = str(path)
    return repr(text if len(text) <= 100 else f"{text[:60]}...{text[-30:]}")


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "a folder that was removed"


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


def lfs_oid(path: Path) -> str | None:
    """The SHA-256 that a pointer of Git LFS names; None for any other file."""
    if not path.is_file() or path.stat().st_size > _LONGEST_POINTER or not os.access(path, os.R_OK):
        return None
    with path.open("rb") as stream:
        text = stream.read(_LONGEST_POINTER)
    if not text.startswith(_LFS_FIRST_LINE):
        return None
    lines = [line.split(b" ", 1) for line in text.splitlines() if b" " in line]
    oid = next((value for key, value in lines if key == b"oid"), b"unknown")
    return oid.removeprefix(b"sha256:").decode("ascii", errors="replace")


def check_output(path: str | Path, *, force: bool) -> Path:
    """Gives `path` as a Path that may be written.

    Raises:
        OutputExistsError: If it exists and `force` is False.
        MissingFileError: If the folder it lies in does not exist.
        PermissionError: If that folder may not be written to.
        ConfigError: If the name is too long or no Unicode.
    """
    check_name(path)
    if str(path).endswith(("/", os.sep)) and not Path(path).exists():
        raise MissingFileError(f"output {str(path)!r}: the folder does not exist. Name a file.")
    path = as_path(path, "output")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OutputExistsError(
            f"output {str(path)!r} is a device or pipe, expected a file. Choose another name."
        )
    if path.is_symlink():
        raise OutputExistsError(
            f"output {str(path)!r} is a link, which is not written through. Name the file itself."
        )
    if path.exists() and not force:
        raise OutputExistsError(
            f"output {str(path)!r} exists. Use --force (force=True) to replace it."
        )
    if not path.parent.is_dir():
        raise MissingFileError(
            f"output {path.name!r}: there is no folder {str(path.parent)!r}. Make it, or name another."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"output {path.name!r}: the folder {str(path.parent)!r} may not be written to. "
            f"Name another, or change its permissions."
        )
    return path


def check_output_file(path: str | Path, *, force: bool) -> Path:
    """As `check_output`, for a file: a folder that stands there is refused too.

    Raises:
        OutputExistsError, MissingFileError, PermissionError, ConfigError: As for `check_output`.
    """
    path = check_output(path, force=force)
    if path.is_dir():
        raise OutputExistsError(f"output {str(path)!r} is a folder, expected a file name.")
    return path


def check_name(path: str | Path) -> None:
    """Refuses a name that no file can have, or that cannot be printed and stored as text.

    Raises:
        ConfigError: If a part is longer than the file system takes, or the name is no Unicode.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"output {text!r}: expected a name in UTF-8, got bytes that are none. Choose another name."
        ) from error
    if "\0" in text:
        raise ConfigError(f"output {text!r}: expected a name without a zero character.")
    longest = max(len(os.fsencode(part)) for part in (*Path(text).parts, ""))
    if longest > _LONGEST_NAME:
        raise ConfigError(
            f"output {text[:40]!r}...: expected names of at most {_LONGEST_NAME} bytes, got {longest}. "
            f"Choose a shorter one."
        )


def check_not_input(output: str | Path, inputs: Iterable[str | Path], *, name: str = "-o") -> None:
    """Refuses an output that would replace what it is made of.

    Args:
        output: The file to be written.
        inputs: Paths that are read; those that do not exist do not matter.
        name: The argument's name, for the message.

    Raises:
        ConfigError: If the output is one of the inputs.
    """
    target = Path(output).resolve()
    for path in inputs:
        if Path(path).resolve() == target:
            raise ConfigError(
                f"{name}: {str(output)!r} is also an input, which would be lost. Choose another name."
            )
