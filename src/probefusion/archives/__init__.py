"""Archives: embeddings of many people on disk, larger than memory, fused template by template."""

from __future__ import annotations

from probefusion.archives.archive import Archive, ArchiveFile, ArchiveRows, FailedFile
from probefusion.archives.erase import ErasureReceipt, erase_from_archive
from probefusion.archives.fuse_archive import ArchiveReport, fuse_archive
from probefusion.archives.open import open_archive

__all__ = [
    "Archive",
    "ArchiveFile",
    "ArchiveReport",
    "ArchiveRows",
    "ErasureReceipt",
    "FailedFile",
    "erase_from_archive",
    "fuse_archive",
    "open_archive",
]
