"""What images a source holds, and the chunks that they are cut into; nothing is decoded.

Files are taken in the order of their names, whatever order they are listed in, so a source gives the same chunks
everywhere.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import PurePosixPath

from probefusion.archives.images.chunks import Chunk, SourceSettings, tag_of
from probefusion.archives.images.naming import key_of, num_wrapping_folders
from probefusion.archives.images.row_groups import cut_parquet
from probefusion.archives.storage import (
    Place,
    StoredFile,
    list_files,
    open_file,
    shown_place,
    stored_file,
)
from probefusion.errors import ConfigError, EmptySetError, FileFormatError, StorageError
from probefusion.faces.endings import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from probefusion.faces.listing import SkippedImage, as_text, is_hidden, judge_file
from probefusion.files.reading import in_one_line, reading

__all__ = ["ImagePlan", "plan_images"]

_SHARD_BYTES = 128 << 20
"""A tar shard on this machine is cut into parts of about so many bytes; one behind a url stays whole, as each part
must pass over what stands before it."""

_CLIPS_AT_ONCE = 4
_HEAD = 64
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True, kw_only=True)
class ImagePlan:
    """What is to be embedded.

    Args:
        chunks: In the order of the names in them.
        skipped: Files that are no images, with the reason; side files are passed over.
    """

    chunks: tuple[Chunk, ...]
    skipped: tuple[SkippedImage, ...] = ()


def plan_images(source: Place, settings: SourceSettings) -> ImagePlan:
    """Cuts a source into chunks.

    Args:
        source: A folder, or url of one, with any of: image files in folders of people, clips, tar shards, Parquet
            files; or one zip archive, shard or Parquet file.
        settings: How it is read.

    Raises:
        MissingFileError: If there is nothing.
        StorageError: If it may not be listed, or its store cannot be reached.
        FileFormatError: If a zip archive is none.
        EmptySetError: If it holds nothing that could be embedded.
        ConfigError: If a person is to be named by a column, and it is no Parquet file, or the other way round.
    """
    if str(source).lower().endswith(".zip"):
        _check_rule("zip", str(source), settings)
        chunks, skipped = _plan_zip(source, settings)
    else:
        chunks, skipped = _plan_files(list_files(source), settings)
    if not chunks:
        first = f": {skipped[0]}" if skipped else ""
        raise EmptySetError(
            f"{shown_place(source)}: found no images, clips, tar shards or Parquet files{first}. Name the folder that "
            f"holds them."
        )
    return ImagePlan(chunks=tuple(chunks), skipped=tuple(skipped))


def _plan_files(
    listed: Sequence[StoredFile], settings: SourceSettings
) -> tuple[list[Chunk], list[SkippedImage]]:
    side = settings.person.ending
    kept: list[tuple[str, StoredFile]] = []
    skipped: list[SkippedImage] = []
    for file in listed:
        if any(is_hidden(part) for part in PurePosixPath(file.name).parts):
            continue
        kind = _kind_of(file, side)
        if kind in ("files", "tar", "parquet", "videos"):
            _check_rule(kind, file.name, settings)
            kept.append((kind, file))
        elif kind:
            skipped.append(SkippedImage(source=as_text(file.name), reason=kind))
    named = [file.name for kind, file in kept if kind in ("files", "videos")]
    wrapping = num_wrapping_folders(named)
    tags = {key_of(file.name)[0]: file for file in listed if _is_side(file.name, side)}
    chunks: list[Chunk] = []
    for kind, group in groupby(kept, key=lambda item: item[0]):
        files = [file for _, file in group]
        if kind == "files":
            chunks += _with_sides(_cut(kind, files, settings.chunk_size, wrapping), tags)
        elif kind == "videos":
            chunks += _with_sides(_cut(kind, files, _CLIPS_AT_ONCE, wrapping), tags)
        else:
            for file in files:
                chunks += _cut_one(kind, file, settings, skipped)
    return chunks, skipped


def _cut_one(
    kind: str, file: StoredFile, settings: SourceSettings, skipped: list[SkippedImage]
) -> Iterator[Chunk]:
    """The chunks of a shard or Parquet file; one that cannot be opened is noted."""
    if kind == "tar":
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


def is_refused(error: StorageError) -> bool:
    """Whether a store refuses this one file, rather than cannot be reached, when all would fail alike."""
    return " may not be " in str(error)


def _with_sides(chunks: Iterator[Chunk], sides: dict[str, StoredFile]) -> Iterator[Chunk]:
    """Chunks of which what their side files say is part; they are as they were where there are none."""
    for chunk in chunks:
        own = [sides[key] for key in map(_key, chunk.names) if key in sides]
        if not sides:
            yield chunk
            continue
        tag = tag_of([(chunk.tag,), *((file.name, file.size, file.tag) for file in own)])
        yield replace(chunk, tag=tag)


def _key(name: str) -> str:
    return key_of(name)[0]


def _cut(kind: str, files: Sequence[StoredFile], size: int, wrapping: int) -> Iterator[Chunk]:
    for start in range(0, len(files), size):
        part = files[start : start + size]
        yield Chunk(
            kind=kind,
            names=tuple(file.name for file in part),
            places=tuple(file.place for file in part),
            wrapping=wrapping,
            expected=len(part) if kind == "files" else 0,
            tag=tag_of([(wrapping,), *((file.name, file.size, file.tag) for file in part)]),
        )


def _cut_shard(file: StoredFile) -> Iterator[Chunk]:
    is_local = "://" not in file.place and "::" not in file.place
    num_parts = max(1, -(-file.size // _SHARD_BYTES)) if is_local else 1
    borders = [file.size * part // num_parts for part in range(num_parts)]
    for start, stop in zip(borders, [*borders[1:], None], strict=True):
        yield Chunk(
            kind="tar",
            names=(file.name,),
            places=(file.place,),
            start=start,
            stop=stop,
            tag=tag_of([(file.name, file.size, file.tag)]),
        )


def _plan_zip(source: Place, settings: SourceSettings) -> tuple[list[Chunk], list[SkippedImage]]:
    facts = stored_file(source)
    names: list[str] = []
    skipped: list[SkippedImage] = []
    with open_file(source) as stream, _opened_zip(stream, source) as archive:
        counts = Counter(entry.filename for entry in archive.infolist() if not entry.is_dir())
        for name in sorted(counts):
            if any(is_hidden(part) for part in PurePosixPath(name).parts):
                continue
            verdict = _judge_member(archive, name, counts[name], settings.person.ending)
            if verdict is True:
                names.append(name)
            elif isinstance(verdict, str):
                skipped.append(SkippedImage(source=as_text(name), reason=verdict))
    wrapping = num_wrapping_folders(names)
    tag = tag_of([(wrapping, facts.size, facts.tag)])
    chunks = [
        Chunk(
            kind="zip",
            names=tuple(names[start : start + settings.chunk_size]),
            places=(facts.place,),
            wrapping=wrapping,
            expected=len(names[start : start + settings.chunk_size]),
            tag=tag,
        )
        for start in range(0, len(names), settings.chunk_size)
    ]
    return chunks, skipped


def _opened_zip(stream: object, source: Place) -> zipfile.ZipFile:
    with reading(shown_place(source), "a zip archive"):
        return zipfile.ZipFile(stream)  # type: ignore[call-overload,no-any-return]  # any stream


def _judge_member(
    archive: zipfile.ZipFile, name: str, count: int, side: str | None
) -> str | bool | None:
    if _is_side(name, side):
        return None

    def head() -> bytes:
        with archive.open(name) as stream:
            return stream.read(_HEAD)

    verdict = judge_file(name, head)
    if verdict is not False and count > 1:
        return f"the archive holds {count} files of this name, of which one only could be read: pack it again"
    return verdict


def _is_side(name: str, side: str | None) -> bool:
    return side is not None and key_of(name)[1] == side


def _kind_of(file: StoredFile, side: str | None) -> str | None:
    """The kind of chunk that a file belongs to; None if it is passed over, else why it is skipped."""
    name = file.name.lower()
    suffix = PurePosixPath(name).suffix
    if _is_side(name, side):
        return None
    if suffix in IMAGE_SUFFIXES:
        return "files"
    if suffix in VIDEO_SUFFIXES:
        return "videos"
    if suffix in (".tar", ".parquet"):
        return suffix[1:]
    if name.endswith(_PACKED):
        return "a packed tar shard, which cannot be read in parts: unpack it to a .tar file"

    def head() -> bytes:
        with open_file(file.place) as stream:
            return stream.read(_HEAD)

    verdict = judge_file(file.name, head)
    if verdict is True:
        return "files"
    return verdict if isinstance(verdict, str) else None


def _check_rule(kind: str, name: str, settings: SourceSettings) -> None:
    """Refuses a rule that says nothing of files of this kind.

    Raises:
        ConfigError: If a column is to name people, and this is no Parquet file, or the other way round.
    """
    is_table = kind == "parquet"
    if is_table == (settings.person.kind == "column"):
        return
    raise ConfigError(
        f"--person (person=): expected {'column:NAME' if is_table else 'no column'}, got {str(settings.person)!r}: "
        f"{in_one_line(name)} is {'a' if is_table else 'no'} Parquet file."
    )
