"""Archives: embeddings of many people on disk, larger than memory, fused template by template."""

from __future__ import annotations

from probefusion.archives.archive import Archive, ArchiveRows, open_archive
from probefusion.archives.fuse_archive import ArchiveReport, fuse_archive

__all__ = ["Archive", "ArchiveReport", "ArchiveRows", "fuse_archive", "open_archive"]
