"""The images of a tar shard, as WebDataset writes them: files that follow each other and share a key are a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import IO

from probefusion.archives.files.storage import open_file
from probefusion.archives.images.chunks import ArchiveImage, Chunk, SourceSettings, too_large
from probefusion.archives.images.naming import LONGEST_SIDE, key_of
from probefusion.archives.images.tar_members import Damage, Member, walk_shard
from probefusion.faces.endings import IMAGE_SUFFIXES
from probefusion.faces.images import MAX_FILE_BYTES
from probefusion.faces.listing import SkippedImage, as_text, is_hidden, judge_file
from probefusion.files.member_names import odd_name

__all__ = ["read_samples"]

_HEAD = 64
_NO_FILE = "a link, device or sparse file in the shard: pack it as a plain file"


def read_samples(chunk: Chunk, settings: SourceSettings) -> Iterator[ArchiveImage | SkippedImage]:
    """The images of the samples of a shard that begin in a chunk's part of it.

    Damage is told once, by the chunk in whose part it begins.

    Raises:
        MissingFileError, FileFormatError, StorageError: As for `probefusion.archives.files.storage.open_file`.
    """
    (shard,), (place,) = chunk.names, chunk.places
    with open_file(place) as stream:
        for _, group in groupby(walk_shard(stream), key=_sample_of):
            found = list(group)  # a sample that began before the part's end goes on behind it
            if chunk.stop is not None and found[0].offset >= chunk.stop:
                return
            if found[0].offset < chunk.start:
                continue
            yield from (
                SkippedImage(source=as_text(shard), reason=damage.reason)
                for damage in found
                if isinstance(damage, Damage)
            )
            members = [member for member in found if isinstance(member, Member)]
            if members:
                yield from _images_of(stream, shard, members, settings)


def _sample_of(found: Member | Damage) -> str | int:
    return key_of(found.name)[0] if found.name else found.offset


def _images_of(
    stream: IO[bytes], shard: str, members: Sequence[Member], settings: SourceSettings
) -> Iterator[ArchiveImage | SkippedImage]:
    name = members[0].name
    if any(is_hidden(part) for part in PurePosixPath(name).parts if part != ".."):
        return
    images = [
        member for member in members if PurePosixPath(member.name).suffix.lower() in IMAGE_SUFFIXES
    ]
    if not images:
        yield from _without_image(stream, shard, members)
        return
    rule = settings.person
    if rule.ending is None:
        person = rule.of_name(name)
    else:
        sides = {key_of(member.name)[1]: member for member in members}
        side = sides.get(rule.ending)
        person = None
        if side is not None and side.size <= LONGEST_SIDE:
            person = rule.of_files({rule.ending: _content(stream, side)})
    for member in images:
        source = as_text(f"{shard}/{member.name}")
        odd = odd_name(member.name)
        if odd is not None:
            yield SkippedImage(source=source, reason=odd)
        elif person is None:
            yield SkippedImage(source=source, reason=rule.why_none(member.name))
        elif not member.is_file:
            yield SkippedImage(source=source, reason=_NO_FILE)
        elif member.size > MAX_FILE_BYTES:
            yield SkippedImage(source=source, reason=too_large(member.size))
        else:
            yield ArchiveImage(
                source=source,
                subject_id=as_text(person),
                media_id=source,
                data=_content(stream, member),
            )


def _without_image(
    stream: IO[bytes], shard: str, members: Sequence[Member]
) -> Iterator[SkippedImage]:
    """What there is to say of a sample without an image; side files are passed over."""
    for member in members:
        if not member.is_file:
            continue
        verdict = judge_file(member.name, partial(_content, stream, member, _HEAD))
        if verdict is not False:
            reason = (
                verdict
                if isinstance(verdict, str)
                else "an image whose name has no ending of one: name it .jpg, .png, ..."
            )
            yield SkippedImage(source=as_text(f"{shard}/{member.name}"), reason=reason)


def _content(stream: IO[bytes], member: Member, at_most: int | None = None) -> bytes:
    stream.seek(member.data_offset)
    return stream.read(member.size if at_most is None else min(at_most, member.size))
