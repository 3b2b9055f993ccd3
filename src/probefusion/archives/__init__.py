"""Archives: embeddings of many people on disk, larger than memory, fused template by template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from probefusion.archives.fusing.fuse_archive import ArchiveReport, fuse_archive
from probefusion.archives.rows.archive import Archive, ArchiveFile, ArchiveRows, FailedFile
from probefusion.archives.rows.open import open_archive

if TYPE_CHECKING:
    from probefusion.archives.erasing.erase import ErasureReceipt, erase_from_archive

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


def __getattr__(name: str) -> Any:
    """Loads what erases when it is first asked for: whoever adds a few images shall not wait for it."""
    if name not in ("ErasureReceipt", "erase_from_archive"):
        raise AttributeError(f"module 'probefusion.archives' has no attribute {name!r}")
    from probefusion.archives.erasing import erase

    return getattr(erase, name)
