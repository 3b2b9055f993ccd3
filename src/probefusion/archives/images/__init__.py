"""Images of archives: what a source holds, cut into chunks, and the rows that come out of each."""

from __future__ import annotations

from probefusion.archives.images.chunk_file import (
    ChunkFacts,
    RowFormat,
    read_facts,
    skipped_images,
    write_chunk,
)
from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings
from probefusion.archives.images.manifest import (
    Making,
    check_fits,
    chunk_place,
    read_manifest,
    write_manifest,
)
from probefusion.archives.images.naming import PersonRule
from probefusion.archives.images.plan import ImagePlan, plan_images
from probefusion.archives.images.reading import ImageReader

__all__ = [
    "ArchiveImage",
    "Chunk",
    "ChunkFacts",
    "ImagePlan",
    "ImageReader",
    "Making",
    "PersonRule",
    "RowFormat",
    "SourceSettings",
    "check_fits",
    "chunk_place",
    "plan_images",
    "read_facts",
    "read_manifest",
    "skipped_images",
    "write_chunk",
    "write_manifest",
]
