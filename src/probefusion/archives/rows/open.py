"""Opens an archive of either kind; `probefusion.archives.rows.archive` says what they hold."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from probefusion.archives.files.storage import (
    Place,
    StoredFile,
    exists,
    is_folder,
    is_url,
    join,
    list_files,
    shown_place,
)
from probefusion.archives.rows.archive import Archive
from probefusion.archives.rows.memmap_archive import open_npy_archive
from probefusion.archives.rows.parquet_archive import open_parquet_archive
from probefusion.errors import EmbedderMismatchError, FileFormatError, MissingFileError
from probefusion.files import check_existing
from probefusion.types.revisions import remedy

__all__ = ["open_archive"]


def open_archive(path: Place, *, by: str = "template_id", embedder: str | None = None) -> Archive:
    """Opens an archive.

    Args:
        path: A Parquet file, a folder of them (with those in the folders below), or a folder of memory-mapped arrays;
            a path, or a url that fsspec knows. Files and folders whose names begin with a dot or `_` are passed over.
        by: Column that says which images belong together: "template_id", "subject_id", ...
        embedder: Fingerprint of what made the embeddings, where the archive does not say it.

    Raises:
        EmbedderMismatchError: If the archive says that it is of another embedder.
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If it is no archive, lacks a column, none of its files can be read, or `embed-archive` has not
            written all of its rows.
        StorageError: If a store cannot be reached.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    place = path if is_url(path) else check_existing(os.fspath(path), name="archive")
    name = Path(os.fspath(place).rstrip("/")).name
    if is_folder(place):
        if exists(join(place, "embeddings.npy")):
            return _stated(open_npy_archive(place, by=by, name=name), embedder)
    elif is_url(place) and not exists(place):
        raise MissingFileError(f"archive {shown_place(place)!r} does not exist. Name another.")
    is_inner = is_folder(place)
    listed = list_files(place, suffixes=(".parquet", ".json"))
    files = [
        file
        for file in listed
        if file.name.lower().endswith(".parquet") and (not is_inner or _is_wanted(file))
    ]
    if not files:
        raise FileFormatError(
            f"archive {shown_place(path)!r}: expected a .parquet file, or a folder with .parquet files or "
            f"with embeddings.npy. For the embeddings of one person use: probefusion fuse"
        )
    if is_inner and len(files) < len(listed):
        from probefusion.archives.images.finished import check_finished  # wants what embeds

        check_finished(place, listed)
    opened = open_parquet_archive(files, by=by, name=name, place=os.fspath(place))
    return _stated(opened, embedder)


def _is_wanted(file: StoredFile) -> bool:
    """Whether a file is of the archive: hidden files and folders, and those of unfinished jobs, are not."""
    return not any(part.startswith((".", "_")) for part in file.name.split("/"))


def _stated(archive: Archive, embedder: str | None) -> Archive:
    """The archive with the embedder that the user names."""
    if embedder is None:
        return archive
    if archive.embedder not in (None, embedder):
        step = "Leave --embedder (embedder=) out, or name the model that made them."
        raise EmbedderMismatchError(
            f"archive {archive.name!r}: says that its embeddings are of {archive.embedder}, got {embedder}. "
            f"{remedy(archive.embedder, embedder, step)}"
        )
    return replace(archive, embedder=embedder)
