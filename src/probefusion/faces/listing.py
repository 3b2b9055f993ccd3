"""Finding images: what in files, folders and zip archives is one, and what is skipped for which reason."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from probefusion.faces.endings import (
    IMAGE_SUFFIXES,
    SIDE_FILES,
    SIDE_SUFFIXES,
    UNREAD_SUFFIXES,
    VIDEO_SUFFIXES,
)
from probefusion.faces.image_header import image_kind
from probefusion.faces.linked_files import each_file_once
from probefusion.files import check_existing
from probefusion.files.member_names import odd_zip_name, plain_name
from probefusion.files.paths import pointer_oid
from probefusion.files.reading import READ_ERRORS, in_one_line, open_zip, reason_of

__all__ = [
    "ImageSource",
    "SkippedImage",
    "as_text",
    "describe_error",
    "is_hidden",
    "judge_file",
    "list_images",
    "read_head",
    "without_links",
]

_HEAD = 64
"""Bytes that tell what a file is."""


@dataclass(frozen=True, kw_only=True)
class SkippedImage:
    """An image that was left out.

    Args:
        source: Its name, as in `EmbeddingSet.sources`.
        reason: Why.
    """

    source: str
    reason: str

    def __str__(self) -> str:
        """Name and reason in one line, whatever the name holds."""
        return f"{in_one_line(self.source)}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Where an image lies: a file, or a member of a zip archive.

    Args:
        path: The file or the archive.
        member: The member's name in the archive, or None for a file.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The path as text; for a member that of the archive, `/`, and the member's name."""
        path = as_text(self.path)
        return path if self.member is None else f"{path}/{self.member}"


def list_images(
    paths: str | Path | ImageSource | Iterable[str | Path | ImageSource],
    *,
    each_once: bool = False,
) -> tuple[list[ImageSource], list[SkippedImage]]:
    """Finds the images in files, folders (with all folders inside) and zip archives.

    A file that is named itself is taken for an image whatever its name. Links are followed, but not around in
    circles. In folders and archives files
    with an image's ending are images, and files of other or no endings whose first bytes are those of an
    image. Notes, tables and side files (`SIDE_SUFFIXES`, `SIDE_FILES`) and what is hidden (`.name`,
    `__MACOSX`) are passed over. Everything else is listed as skipped: videos, archives inside, raw files,
    arrays, unknown files, and members of an archive whose name comes twice or tells no folder. A path given
    twice counts twice.

    Args:
        paths: One path or several; an image that was found before stays as it is.
        each_once: Whether folders are of one person, so that a file which lies in one of them under several names,
            by links, counts once; the other names are listed as skipped.

    Returns:
        The images, those of each path sorted by name, in the order of the paths; and what was
        skipped.

    Raises:
        MissingFileError: If a path does not exist.
        FileFormatError: If a `.zip` file is no zip archive.
    """
    found: list[ImageSource] = []
    skipped: list[SkippedImage] = []
    given = [paths] if isinstance(paths, str | Path | ImageSource) else list(paths)
    checked = [
        item
        if isinstance(item, ImageSource)
        else check_existing(item, name="image path", devices=True)  # skipped when it is read
        for item in given
    ]
    for path in checked:
        if isinstance(path, ImageSource):
            found.append(path)
        elif path.is_dir():
            inside: list[ImageSource] = []
            _sort_folder(path, inside, skipped)
            found += without_links(inside, skipped) if each_once else inside
        elif path.suffix.lower() == ".zip":
            _sort_archive(path, found, skipped)
        else:
            found.append(ImageSource(path=path))
    return found, skipped


def without_links(sources: Sequence[ImageSource], skipped: list[SkippedImage]) -> list[ImageSource]:
    """The images of a person without names of files that count already; these are added to `skipped`."""
    pairs = [(source, source.path if source.member is None else None) for source in sources]
    found = each_file_once(pairs)
    skipped += [SkippedImage(source=source.name, reason=reason) for source, reason in found.others]
    return list(found.kept)


def judge_file(name: str, read_head: Callable[[], bytes]) -> str | bool:
    """Whether a file in a folder or archive is an image.

    Args:
        name: Its name.
        read_head: Gives its first bytes; asked only where the ending does not decide.

    Returns:
        True for an image, False for a side file that is passed over, otherwise why it is skipped.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in SIDE_SUFFIXES or (not suffix and path.name.lower() in SIDE_FILES):
        return False
    if suffix in UNREAD_SUFFIXES:
        return UNREAD_SUFFIXES[suffix]
    if suffix in VIDEO_SUFFIXES:
        return "a video: give its own path"
    try:
        head = read_head()
    except READ_ERRORS as error:
        return describe_error(error)
    if image_kind(head) is not None:
        return True
    if pointer_oid(head) is not None:
        return "a Git LFS pointer: run git lfs pull in a clone of the repository that it comes from"
    return "no image: neither its ending nor its first bytes are those of an image"


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: hidden, or made by macOS' archiver."""
    return name.startswith(".") or name == "__MACOSX"


def as_text(path: str | Path) -> str:
    """A path as text that can be printed and stored; bytes that are no UTF-8 as hexadecimal digits."""
    text = path.as_posix() if isinstance(path, Path) else path
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def describe_error(error: Exception) -> str:
    """Why a file could not be read, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"could not be read: {error.strerror}"
    return f"could not be read: {reason_of(error)}"


def _sort_folder(folder: Path, found: list[ImageSource], skipped: list[SkippedImage]) -> None:
    inside = [
        (PurePosixPath(item.relative_to(folder).as_posix()), item)
        for item in _files(folder, skipped)
    ]
    for relative, path in sorted(inside, key=lambda item: item[0].parts):
        if not any(is_hidden(part) for part in relative.parts):
            verdict = judge_file(relative.name, partial(read_head, path))
            _sort(ImageSource(path=path), verdict, found, skipped)


def _sort_archive(path: Path, found: list[ImageSource], skipped: list[SkippedImage]) -> None:
    archive = open_zip(path)
    with archive:
        counts = Counter(entry.filename for entry in archive.infolist() if not entry.is_dir())
        for member in sorted(counts, key=lambda name: PurePosixPath(name).parts):
            relative = PurePosixPath(plain_name(member))
            if any(is_hidden(part) for part in relative.parts if part != ".."):
                continue
            verdict = judge_file(relative.name, partial(_member_head, archive, member))
            odd = odd_zip_name(member)
            if verdict is not False and odd is not None:
                verdict = odd
            elif verdict is not False and counts[member] > 1:
                verdict = (
                    f"the archive holds {counts[member]} files of this name, of which one only could be "
                    f"read: pack it again"
                )
            _sort(ImageSource(path=path, member=member), verdict, found, skipped)


def _sort(
    source: ImageSource,
    verdict: str | bool,
    found: list[ImageSource],
    skipped: list[SkippedImage],
) -> None:
    if verdict is True:
        found.append(source)
    elif isinstance(verdict, str):
        skipped.append(SkippedImage(source=source.name, reason=verdict))


def read_head(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: If it cannot be read, or is a pipe or device.
    """
    if not path.is_file():
        raise OSError("no file but a pipe, device or broken link")
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _member_head(archive: zipfile.ZipFile, member: str) -> bytes:
    with archive.open(member) as stream:
        return stream.read(_HEAD)


def _files(
    folder: Path, skipped: list[SkippedImage], above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[Path]:
    """All files in a folder and the folders inside, those behind links too, but not around in circles.

    Folders that cannot be opened are noted. `above` are the folders that were gone through to this one.
    """
    try:
        found = folder.stat()
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(SkippedImage(source=as_text(folder), reason=describe_error(error)))
        return
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    for entry in entries:
        if _is_folder(entry):
            yield from _files(folder / entry.name, skipped, above | {here})
        else:
            yield folder / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: reading it says so
        return False
