"""What a source holds, file by file, before it is cut into chunks; nothing is decoded.

Files are taken in the order of their names, whatever order they are listed in.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from probefusion.archives.files.storage import (
    Place,
    StoredFile,
    list_files,
    open_file,
    shown_place,
    stored_file,
)
from probefusion.archives.images.chunks import SourceSettings
from probefusion.archives.images.naming import key_of, num_wrapping_folders
from probefusion.errors import ConfigError
from probefusion.faces.endings import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from probefusion.faces.listing import SkippedImage, as_text, is_hidden, judge_file
from probefusion.files.member_names import odd_zip_name, plain_name
from probefusion.files.reading import in_one_line, reading

__all__ = ["Listing", "SourceFile", "list_source"]

_HEAD = 64
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class SourceFile(NamedTuple):
    """A file of a source, or a member of a zip archive.

    Attributes:
        kind: As for `probefusion.archives.images.chunks.Chunk`.
        file: The file; of a member its name in the archive, and the place of the archive.
        side: The file that names the person of an image or clip, where one does.
    """

    kind: str
    file: StoredFile
    side: StoredFile | None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is there.

    Args:
        files: In the order of their names.
        skipped: Files that are no images, with the reason; side files are passed over.
        wrapping: Folders to pass through to those of people; 0 where folders name nobody.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[SkippedImage, ...]
    wrapping: int


def list_source(source: Place, settings: SourceSettings) -> Listing:
    """Lists a source.

    Args:
        source: As for `probefusion.archives.images.plan.plan_images`.
        settings: How it is read.

    Raises:
        MissingFileError: If there is nothing.
        StorageError: If it may not be listed, or its store cannot be reached.
        FileFormatError: If a zip archive is none.
        ConfigError: If a person is to be named by a column, and it is no Parquet file, or the other way round.
    """
    if str(source).lower().endswith(".zip"):
        _check_rule("zip", str(source), settings)
        files, skipped = _members(source, settings)
    else:
        files, skipped = _files(list_files(source), settings)
    wrapping = 0
    if settings.person.kind == "folder":
        single = ("files", "videos", "zip")
        wrapping = num_wrapping_folders(each.file.name for each in files if each.kind in single)
    return Listing(files=tuple(files), skipped=tuple(skipped), wrapping=wrapping)


def _files(
    listed: Sequence[StoredFile], settings: SourceSettings
) -> tuple[list[SourceFile], list[SkippedImage]]:
    side = settings.person.ending
    sides = {key_of(file.name)[0]: file for file in listed if _is_side(file.name, side)}
    kept: list[SourceFile] = []
    skipped: list[SkippedImage] = []
    for file in listed:
        if any(is_hidden(part) for part in PurePosixPath(file.name).parts):
            continue
        kind = _kind_of(file, side)
        if kind in ("files", "tar", "parquet", "videos"):
            _check_rule(kind, file.name, settings)
            is_single = kind in ("files", "videos")
            kept.append(
                SourceFile(kind, file, sides.get(key_of(file.name)[0]) if is_single else None)
            )
        elif kind:
            skipped.append(SkippedImage(source=as_text(file.name), reason=kind))
    return kept, skipped


def _members(
    source: Place, settings: SourceSettings
) -> tuple[list[SourceFile], list[SkippedImage]]:
    place = stored_file(source).place
    side = settings.person.ending
    kept: list[SourceFile] = []
    skipped: list[SkippedImage] = []
    with open_file(source) as stream, _opened_zip(stream, source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        counts = Counter(entry.filename for entry in entries)
        found = {
            entry.filename: StoredFile(
                name=entry.filename, place=place, size=entry.file_size, tag=f"crc:{entry.CRC:08x}"
            )
            for entry in entries
        }
        sides = {key_of(name)[0]: file for name, file in found.items() if _is_side(name, side)}
        for name in sorted(found):
            verdict = None if _is_side(name, side) else _judge_member(archive, name, counts[name])
            if verdict is True:
                kept.append(SourceFile("zip", found[name], sides.get(key_of(name)[0])))
            elif isinstance(verdict, str):
                skipped.append(SkippedImage(source=as_text(name), reason=verdict))
    return kept, skipped


def _opened_zip(stream: object, source: Place) -> zipfile.ZipFile:
    with reading(shown_place(source), "a zip archive"):
        return zipfile.ZipFile(stream)  # type: ignore[call-overload,no-any-return]  # any stream


def _judge_member(archive: zipfile.ZipFile, name: str, count: int) -> str | bool | None:
    """True for an image, None for what is passed over, else why it is skipped."""
    if any(is_hidden(part) for part in PurePosixPath(plain_name(name)).parts if part != ".."):
        return None

    def head() -> bytes:
        with archive.open(name) as stream:
            return stream.read(_HEAD)

    verdict = judge_file(name, head)
    odd = odd_zip_name(name)
    if verdict is not False and odd is not None:
        return odd
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
