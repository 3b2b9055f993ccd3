"""Opens an archive of either kind; `probefusion.archives.archive` says what they hold."""

from __future__ import annotations

from pathlib import Path

from probefusion.archives.archive import Archive
from probefusion.archives.memmap_archive import MemmapArchive
from probefusion.archives.parquet_archive import ParquetArchive
from probefusion.errors import EmbedderMismatchError, FileFormatError
from probefusion.files import check_existing

__all__ = ["open_archive"]


def open_archive(
    path: str | Path, *, by: str = "template_id", embedder: str | None = None
) -> Archive:
    """Opens an archive.

    Args:
        path: A Parquet file, a folder of them, or a folder of memory-mapped arrays.
        by: Column that says which images belong together: "template_id", "subject_id", ...
        embedder: Fingerprint of what made the embeddings, where the archive does not say it.

    Raises:
        EmbedderMismatchError: If the archive says that it is of another embedder.
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If it is no archive, or lacks a column.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    path = check_existing(path, name="archive")
    if path.is_dir() and (path / "embeddings.npy").exists():
        return _stated(MemmapArchive(path, by=by), embedder)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".parquet":
        raise FileFormatError(
            f"archive {str(path)!r}: expected a .parquet file, or a folder with .parquet files or "
            f"with embeddings.npy. For the embeddings of one person use: probefusion fuse"
        )
    return _stated(ParquetArchive(files, by=by, name=path.name), embedder)


def _stated(archive: Archive, embedder: str | None) -> Archive:
    """The archive with the embedder that the user names."""
    if embedder is None:
        return archive
    if archive.embedder not in (None, embedder):
        raise EmbedderMismatchError(
            f"archive {archive.name!r}: says that its embeddings are of {archive.embedder}, got {embedder}. "
            f"Leave --embedder (embedder=) out, or name the model that made them."
        )
    archive.embedder = embedder
    return archive
