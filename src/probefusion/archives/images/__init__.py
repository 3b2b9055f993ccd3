"""Images of archives: what a source holds, cut into chunks, and the rows that come out of each."""

from __future__ import annotations

from probefusion.archives.images.chunk_file import (
    ChunkFacts,
    RowFormat,
    read_facts,
    read_known,
    read_used,
    skipped_images,
    write_chunk,
)
from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings
from probefusion.archives.images.later import DoneChunk, with_later
from probefusion.archives.images.manifest import (
    Making,
    begins_with,
    check_making,
    chunk_place,
    read_manifest,
    write_manifest,
)
from probefusion.archives.images.naming import PersonRule
from probefusion.archives.images.plan import SINGLE, ImagePlan, plan_images
from probefusion.archives.images.reading import ImageReader

__all__ = [
    "SINGLE",
    "ArchiveImage",
    "Chunk",
    "ChunkFacts",
    "DoneChunk",
    "ImagePlan",
    "ImageReader",
    "Making",
    "PersonRule",
    "RowFormat",
    "SourceSettings",
    "begins_with",
    "check_making",
    "chunk_place",
    "plan_images",
    "read_facts",
    "read_known",
    "read_manifest",
    "read_used",
    "skipped_images",
    "with_later",
    "write_chunk",
    "write_manifest",
]
