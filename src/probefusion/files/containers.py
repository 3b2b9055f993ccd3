"""The `.npz` containers of the value types: named arrays, a kind, a version and a hash of the content."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files.content_hash import content_hash
from probefusion.files.npy import open_npz
from probefusion.files.reading import in_one_line
from probefusion.files.replacing import replace_file

__all__ = [
    "optional_text",
    "read_npz",
    "write_npz",
]

_HASH_MARK = "probefusion sha256:"
"""What the comment of an `.npz` begins with, before 64 hexadecimal digits."""


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
            f"{path.name}: format_version: expected one whole number, got "
            f"{found_version.dtype} of shape {found_version.shape}."
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
            f"{in_one_line(path)}: its arrays are not those that were written to it (another SHA-256). The file "
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
        raise FileFormatError(
            f"{key}: expected one text, got {arrays[key].dtype} of shape {arrays[key].shape}."
        )
    return str(arrays[key])
