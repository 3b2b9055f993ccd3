"""What a file of an archive is known by, whatever its name and times are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from probefusion.archives.files.storage import (
    absolute_place,
    is_folder,
    is_url,
    join,
    list_files,
    open_file,
)

__all__ = ["file_digest", "file_stamp", "is_same_file"]

_BYTES = 1 << 16
_STAMP_DIGITS = 16


def file_digest(place: str) -> str:
    """Of the size and the last 64 KiB: of a Parquet file the footer, which says where what stands, and some rows.

    Args:
        place: Path or url of a file, or of a folder of arrays.

    Raises:
        MissingFileError, StorageError, OSError: If it cannot be read.
    """
    places = [place]
    if is_folder(place):
        places = [join(place, file.name) for file in list_files(place, suffixes=(".npy",))]
    digest = hashlib.sha256()
    for each in places:
        with open_file(each) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _BYTES))
            digest.update(f"{size}:".encode() + stream.read(_BYTES))
    return digest.hexdigest()


def file_stamp(place: str) -> str:
    """What changes when another file is put in the place of a file, though name, size and times may be the same.

    It changes as well where the file itself is moved or linked, or gets other permissions; `is_same_file` then looks at
    its content. Behind urls it is empty: stores give tags that tell content.

    Args:
        place: Path or url of a file, or of a folder of arrays.

    Raises:
        OSError: If it is not there.
        MissingFileError, StorageError: If it cannot be read.
    """
    if is_url(absolute_place(place)):
        return ""
    places = [place]
    if is_folder(place):
        places = [file.place for file in list_files(place, suffixes=(".npy",))]
    written, changed = hashlib.sha256(), hashlib.sha256()
    for each in places:
        found = Path(absolute_place(each)).stat()
        written.update(f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns};".encode())
        changed.update(f"{found.st_ctime_ns};".encode())
    parts = (written.hexdigest(), changed.hexdigest(), file_digest(place))
    return ".".join(part[:_STAMP_DIGITS] for part in parts)


def is_same_file(place: str, stamp: str) -> bool:
    """Whether a file is still that of which a stamp was taken a while ago, while nothing was known to write to it.

    Raises:
        OSError, MissingFileError, StorageError: As for `file_stamp`.
    """
    now = file_stamp(place)
    (written, changed, content), (was_written, was_changed, was_content) = (
        (each.split(".") if each else ("", "", "")) for each in (now, stamp)
    )
    return written == was_written and (changed == was_changed or content == was_content)
