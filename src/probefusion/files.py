"""Files on disk: atomic writing, SHA-256, and the `.npz` containers of the value types."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_file, check_output
from probefusion.content_hash import content_hash
from probefusion.errors import FileFormatError, IntegrityError, OutputExistsError
from probefusion.npy import open_npz

__all__ = [
    "bundled_folder",
    "home_path",
    "optional_text",
    "read_npz",
    "replace_file",
    "sha256_of",
    "write_npz",
]

_PREFIX = 40
"""Characters of a file's name in that of its draft: long names leave no room for more."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENAMETOOLONG)

_HASH_MARK = "probefusion sha256:"
"""What the comment of an `.npz` begins with, before 64 hexadecimal digits."""


def bundled_folder() -> Path:
    """The folder of the package that holds its trained networks and the demonstration's data."""
    return Path(str(files("probefusion"))).absolute() / "zoo" / "weights"


def home_path(path: str | Path) -> Path:
    """The path with a `~` at its beginning resolved.

    Where nobody knows the user's home, as in some containers, it becomes a path at which nothing can be:
    such places are passed over, and a `~` is never taken for a folder's name.
    """
    text = os.fspath(path)
    resolved = os.path.expanduser(text)  # noqa: PTH111 - pathlib raises a RuntimeError
    return Path(os.devnull) / "no-home" / text if resolved.startswith("~") else Path(resolved)


@contextmanager
def replace_file(path: str | Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Opens a temporary file that becomes `path` only when the block ends without an error.

    The bytes are flushed to the disk before the rename, so that a crash leaves either the old
    file or the new one, never half of one.

    Args:
        path: Where the file shall stand.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If `path` exists and `force` is False.
        MissingFileError: If the folder does not exist.
    """
    path = check_output(path, force=force)
    if path.is_dir():
        raise OutputExistsError(f"output {str(path)!r} is a folder, expected a file name.")
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:_PREFIX]}.", dir=path.parent)
    except OSError as error:
        raise _named(error, path) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise _named(error, path) from error
        raise


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the file's name: that of a full disk says none."""
    return type(error)(error.errno, error.strerror, str(path))


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        MissingFileError: If the file does not exist.
    """
    digest = hashlib.sha256()
    with check_file(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_npz(
    path: str | Path, *, kind: str, version: int, arrays: Mapping[str, Any], force: bool = False
) -> None:
    """Writes arrays as `.npz` with the kind of thing they are and the version of its format.

    Entries that are None are left out. The file is written atomically. The hash of all arrays stands
    in the comment of the archive, where `read_npz` looks for it: other readers and older releases see
    the arrays only, and a file written anew from them by hand has none.
    """
    present: dict[str, npt.NDArray[Any]] = {
        "kind": np.asarray(kind),
        "format_version": np.asarray(version),
        **{key: np.asarray(value) for key, value in arrays.items() if value is not None},
    }
    with (
        replace_file(path, force=force) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, array in present.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = f"{_HASH_MARK}{content_hash(present)}".encode()


def read_npz(
    path: str | Path, *, kind: str, version: int, required: frozenset[str], optional: frozenset[str]
) -> dict[str, npt.NDArray[Any]]:
    """Reads the arrays of an `.npz` written by `write_npz`, or by hand with the same keys.

    `kind` and `format_version` may be missing (files made by hand); when present they must fit. The
    hash is compared where there is one: files made by hand and by releases up to 0.1 have none.
    Nothing is unpickled.

    Raises:
        MissingFileError: If the file does not exist.
        IntegrityError: If its arrays are not those that were written.
        FileFormatError: If it is no `.npz`, is cut, lacks a key, has an unknown one, or holds
            another kind of thing.
    """
    with open_npz(path) as archive:
        arrays = archive.read_all()
        comment = archive.comment
    path = Path(path)
    _check_npz_hash(path, comment, arrays)
    found_kind = str(arrays.pop("kind", np.asarray(kind)))
    if found_kind != kind:
        raise FileFormatError(f"{path.name}: expected a file of kind {kind!r}, got {found_kind!r}.")
    found_version = arrays.pop("format_version", np.asarray(version))
    if found_version.shape != () or found_version.dtype.kind not in "iu":
        raise FileFormatError(
            f"{path.name}: format_version: expected one whole number, got {found_version!r}."
        )
    if int(found_version) > version:
        raise FileFormatError(
            f"{path.name}: format version {found_version} is newer than {version}, which this "
            f"release reads. Upgrade probefusion."
        )
    missing = required - arrays.keys()
    unknown = arrays.keys() - required - optional
    if missing or unknown:
        raise FileFormatError(
            f"{path.name}: expected the keys {sorted(required)} and optionally {sorted(optional)}; "
            f"missing {sorted(missing)}, unknown {sorted(unknown)}."
        )
    return arrays


def _check_npz_hash(path: Path, comment: bytes, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    mark = _HASH_MARK.encode()
    if comment.startswith(mark) and comment != mark + content_hash(arrays).encode():
        raise IntegrityError(
            f"{path}: its arrays are not those that were written to it (another SHA-256). The file "
            f"was changed or damaged; take a copy of it, or make it again."
        )


def optional_text(arrays: Mapping[str, npt.NDArray[Any]], key: str) -> str | None:
    """The text stored under a key, or None where there is none.

    Raises:
        FileFormatError: If it is not one text.
    """
    if key not in arrays:
        return None
    if arrays[key].shape != () or arrays[key].dtype.kind != "U":
        raise FileFormatError(f"{key}: expected one text, got {arrays[key]!r}.")
    return str(arrays[key])
