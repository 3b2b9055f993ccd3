"""What the images of an archive are cut into: chunks, each the work of one task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from probefusion.archives.images.naming import PersonRule
from probefusion.faces.images import MAX_FILE_BYTES

__all__ = ["ArchiveImage", "Chunk", "SourceSettings"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ArchiveImage:
    """One image of an archive, not yet decoded, or a frame of a video.

    Args:
        source: Its name below the archive's root; of a frame with its time, as "a/clip.mp4#t=1.200".
        subject_id: Whose it is.
        media_id: The still or clip it comes from.
        data: Bytes of an image file, or the frame's pixels, (H, W, 3) uint8 RGB.
    """

    source: str
    subject_id: str
    media_id: str
    data: bytes | npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """How a source is read.

    Args:
        person: Where the person of an image is named.
        image_column: Column of Parquet files that holds the bytes of images.
        every: Of a video every k-th frame is taken.
        chunk_size: Images of a chunk, about.
    """

    person: PersonRule = field(default_factory=PersonRule)
    image_column: str = "image"
    every: int = 10
    chunk_size: int = 1000


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some of an archive's images: the work of one task.

    Args:
        kind: "files": image files, "zip": members of a zip archive, "tar": part of a tar shard, "parquet": row
            groups of a Parquet file, "videos": clips.
        names: Names below the root: of the images or clips, or of the one shard or Parquet file.
        places: Where they are: a path or url for each name; of a zip archive the one of the archive.
        wrapping: Folders to pass through to those of people.
        start: Of a shard: byte from which on samples begin; of a Parquet file: first row group.
        stop: Where the next chunk starts; None for the end.
        first_row: Of a Parquet file's row group that is larger than a chunk: the row from which on it is read.
        num_rows: How many rows of it are read; None for whole row groups.
        expected: Images that it holds, as far as is known without reading it: 0 where nothing is.
        tag: What changes when anything of this does.
        marks: Of single images and clips, 4 bytes for each that change when it does.
    """

    kind: str
    names: tuple[str, ...]
    places: tuple[str, ...]
    wrapping: int = 0
    start: int = 0
    stop: int | None = None
    first_row: int = 0
    num_rows: int | None = None
    expected: int = 0
    tag: str = ""
    marks: bytes = b""

    @property
    def facts(self) -> dict[str, object]:
        """What a manifest says of it; not what single images are called, which may be erased later."""
        rows = {} if self.num_rows is None else {"rows": [self.first_row, self.num_rows]}
        named = {"name": self.names[0]} if self.kind in ("tar", "parquet") else {}
        return {
            "kind": self.kind,
            **named,
            "num_names": len(self.names),
            "wrapping": self.wrapping,
            "start": self.start,
            "stop": self.stop,
            **rows,
            "tag": self.tag,
        }

    def __str__(self) -> str:
        if len(self.names) > 1:
            return f"{self.names[0]} to {self.names[-1]}"
        part = f" from {self.start}" if self.start or self.stop is not None else ""
        part += f", row {self.first_row}" if self.num_rows is not None else ""
        return f"{self.names[0]}{part}"


def too_large(size: int | None) -> str:
    """Why the file of an image is skipped that is too large.

    Args:
        size: Its bytes, where that is known.
    """
    of = "" if size is None else f" of {size:,} bytes"
    return f"file{of}, expected at most {MAX_FILE_BYTES:,} bytes"


def mark_of(parts: Iterable[tuple[object, ...]]) -> bytes:
    """What changes when one image does: 4 bytes of what `tag_of` gives."""
    return bytes.fromhex(tag_of(parts)[:8])


def tag_of(parts: Iterable[tuple[object, ...]]) -> str:
    """A digest of names, sizes and tags of files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:32]
