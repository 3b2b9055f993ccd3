"""The members of a tar shard, one after the other, past what is damaged.

Python's own reader takes a damaged header in the middle for the end. This one goes on behind it, and tells it.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from probefusion.files.member_names import plain_name

__all__ = ["Damage", "Member", "walk_shard"]

_BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class Member:
    """A regular file in a shard.

    Args:
        name: Its name, without a leading "/" or "./".
        offset: Byte at which its header begins.
        data_offset: Byte at which its content begins.
        size: Bytes of its content, as it lies in the shard.
        is_file: Whether it is a plain file: links, folders, devices and sparse files are not.
    """

    name: str
    offset: int
    data_offset: int
    size: int
    is_file: bool


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A place in a shard that cannot be read.

    Args:
        offset: Byte at which it begins.
        reason: What is wrong.
        name: Of a file that is there a second time; "" where no name could be read.
    """

    offset: int
    reason: str
    name: str = ""


def walk_shard(stream: IO[bytes]) -> Iterator[Member | Damage]:
    """The members of a shard; their content is not read.

    Args:
        stream: The shard, which can be moved about in.

    Yields:
        Members, and places that are damaged, or hold a file of a name that came before.
    """
    size = stream.seek(0, io.SEEK_END)
    offset, damaged_from, has_end = 0, None, False
    seen: set[str] = set()
    while offset < size:
        found = _member_at(stream, offset)
        if found is None:
            has_end, offset = True, offset + _BLOCK
            continue
        if isinstance(found, str):
            damaged_from = offset if damaged_from is None else damaged_from
            offset += _BLOCK
            continue
        if damaged_from is not None:
            yield _lost(damaged_from, found[0].offset)
            damaged_from = None
        member, offset = found
        has_end = False
        if member.data_offset + member.size > size or offset > size + _BLOCK:
            yield Damage(
                offset=member.offset,
                reason=f"the shard is cut off inside of {member.name!r}: what follows is lost",
            )
            return
        if member.is_file and member.name in seen:
            yield Damage(
                offset=member.offset,
                reason=f"holds {member.name!r} a second time, which is left out: is it a newer one? Pack it again",
                name=member.name,
            )
            continue
        seen.add(member.name)
        yield member
    if damaged_from is not None:
        yield _lost(damaged_from, size)
    elif not has_end:
        yield Damage(
            offset=max(0, size - 1),
            reason="the shard has no end mark: it may be cut off, and more files may be lost",
        )


def _lost(start: int, stop: int) -> Damage:
    return Damage(
        offset=start,
        reason=f"bytes {start:,} to {stop:,} of the shard are damaged: the files in them are lost",
    )


def _member_at(stream: IO[bytes], offset: int) -> tuple[Member, int] | str | None:
    """The member whose header begins here and where the next one does, what is wrong, or None for an end mark."""
    stream.seek(offset)
    tar = tarfile.TarFile(fileobj=io.BytesIO(bytes(2 * _BLOCK)))  # an empty one, to read with
    tar.fileobj, tar.offset = stream, offset
    try:
        info = tarfile.TarInfo.fromtarfile(tar)
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except (tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
        return str(error)
    if tar.offset <= offset or info.size < 0:
        return "a negative size"
    is_plain = info.isreg() and not info.issparse()  # of a sparse file only some blocks are there
    member = Member(
        name=plain_name(info.name),
        offset=info.offset,
        data_offset=info.offset_data,
        size=info.size if is_plain else 0,
        is_file=is_plain,
    )
    return member, tar.offset
