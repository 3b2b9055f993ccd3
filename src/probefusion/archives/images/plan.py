"""The chunks that the images of a source are cut into.

Files are taken in the order of their names, images first, then clips, shards and Parquet files, so a source gives the
same chunks everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from probefusion.archives.files.storage import Place, StoredFile, is_url, shown_place
from probefusion.archives.images.chunks import Chunk, SourceSettings, mark_of, tag_of
from probefusion.archives.images.row_groups import cut_parquet
from probefusion.archives.images.source_files import Listing, SourceFile, list_source
from probefusion.errors import EmptySetError, FileFormatError, StorageError
from probefusion.faces.listing import SkippedImage, as_text

__all__ = [
    "SINGLE",
    "ImagePlan",
    "chunk_of",
    "is_refused",
    "mark_of_file",
    "most_of",
    "plan_images",
]

SINGLE = ("files", "zip", "videos")
"""Kinds of chunks that are made of single images or clips; the others are parts of one file."""

_SHARD_BYTES = 128 << 20
"""A tar shard on this machine is cut into parts of about so many bytes; one behind a url stays whole, as each part
must pass over what stands before it."""

_CLIPS_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """What is to be embedded.

    Args:
        chunks: The work, chunk by chunk.
        skipped: Files that are no images, with the reason; side files are passed over.
        listing: What the chunks are cut of.
    """

    chunks: tuple[Chunk, ...]
    skipped: tuple[SkippedImage, ...] = ()
    listing: Listing = field(repr=False)


def plan_images(source: Place, settings: SourceSettings) -> ImagePlan:
    """Cuts a source into chunks.

    Args:
        source: A folder, or url of one, with any of: image files in folders of people, clips, tar shards, Parquet
            files; or one zip archive, shard or Parquet file.
        settings: How it is read.

    Raises:
        EmptySetError: If it holds nothing that could be embedded.
        ProbeFusionError: As for `probefusion.archives.images.source_files.list_source`.
    """
    listing = list_source(source, settings)
    chunks: list[Chunk] = []
    unread: list[SkippedImage] = []
    for kind in SINGLE:
        files = [each for each in listing.files if each.kind == kind]
        size = most_of(kind, settings)
        for start in range(0, len(files), size):
            chunks.append(chunk_of(files[start : start + size], listing.wrapping, settings))
    for each in listing.files:
        if each.kind not in SINGLE:
            chunks += _cut_one(each, settings, unread)
    skipped = (*listing.skipped, *unread)
    if not chunks:
        first = f": {skipped[0]}" if skipped else ""
        raise EmptySetError(
            f"{shown_place(source)}: found no images, clips, tar shards or Parquet files{first}. Name the folder that "
            f"holds them."
        )
    return ImagePlan(chunks=tuple(chunks), skipped=skipped, listing=listing)


def most_of(kind: str, settings: SourceSettings) -> int:
    """How many single files of a kind make a chunk."""
    return _CLIPS_AT_ONCE if kind == "videos" else settings.chunk_size


def chunk_of(files: Sequence[SourceFile], wrapping: int, settings: SourceSettings) -> Chunk:
    """The chunk of some single images or clips, of one kind; what names their people is part of its tag.

    Args:
        files: In the order of their names.
        wrapping: Folders to pass through to those of people.
        settings: How they are read.
    """
    kind = files[0].kind
    places = tuple(each.file.place for each in files)
    tag = tag_of([(wrapping,), *(_facts(each.file) for each in files)])
    if settings.person.ending is not None:
        sides = [_facts(each.side) for each in files if each.side is not None]
        tag = tag_of([(tag,), *sides])
    return Chunk(
        kind=kind,
        names=tuple(each.file.name for each in files),
        places=places[:1] if kind == "zip" else places,
        wrapping=wrapping,
        expected=0 if kind == "videos" else len(files),
        tag=tag,
        marks=b"".join(mark_of_file(each) for each in files),
    )


def mark_of_file(source: SourceFile) -> bytes:
    """4 bytes that change when a single image, or what names its person, does."""
    sides = [] if source.side is None else [_facts(source.side)]
    return mark_of([_facts(source.file), *sides])


def is_refused(error: StorageError) -> bool:
    """Whether a store refuses this one file, rather than cannot be reached, when all would fail alike."""
    return " may not be " in str(error)


def _cut_one(
    source: SourceFile, settings: SourceSettings, skipped: list[SkippedImage]
) -> Iterator[Chunk]:
    """The chunks of a shard or Parquet file; one that cannot be opened is noted."""
    file = source.file
    if source.kind == "tar":
        yield from _cut_shard(file)
        return
    try:
        yield from cut_parquet(file, settings)
    except FileFormatError as error:
        skipped.append(SkippedImage(source=as_text(file.name), reason=str(error)))
    except StorageError as error:
        if not is_refused(error):
            raise
        skipped.append(SkippedImage(source=as_text(file.name), reason=str(error)))


def _cut_shard(file: StoredFile) -> Iterator[Chunk]:
    num_parts = 1 if is_url(file.place) else max(1, -(-file.size // _SHARD_BYTES))
    borders = [file.size * part // num_parts for part in range(num_parts)]
    for start, stop in zip(borders, [*borders[1:], None], strict=True):
        yield Chunk(
            kind="tar",
            names=(file.name,),
            places=(file.place,),
            start=start,
            stop=stop,
            tag=tag_of([_facts(file)]),
        )


def _facts(file: StoredFile) -> tuple[object, ...]:
    return file.name, file.size, file.tag
