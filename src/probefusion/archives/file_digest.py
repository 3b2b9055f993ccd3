"""What a file of an archive is known by, whatever its name and times are."""

from __future__ import annotations

import hashlib
import os

from probefusion.archives.storage import is_folder, join, list_files, open_file

__all__ = ["file_digest"]

_BYTES = 1 << 16


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
