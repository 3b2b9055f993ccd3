"""People and their images: the reader of folder-per-person trees and archives."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from probefusion.errors import (
    EmptySetError,
    FileFormatError,
    InvalidInputError,
    UnsupportedOperationError,
)
from probefusion.faces.images import MAX_FILE_BYTES, SkippedImage, list_images
from probefusion.faces.linked_files import each_file_once
from probefusion.files import check_existing
from probefusion.files.member_names import odd_zip_name, plain_name
from probefusion.files.reading import READ_ERRORS, in_one_line, open_zip, reason_of

__all__ = [
    "People",
    "check_unicode",
    "composed",
    "namesake_key",
    "read_people",
    "read_people_and_media",
    "refuse_namesakes",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """Image names by person, and where the images lie.

    Args:
        images: Subject name -> names of that person's images; kept sorted by name.
        path: The folder or zip archive that the names are relative to, or None.
        skipped: Images that were left out, and why.

    Raises:
        EmptySetError: If there is nobody, or a person has no images.
        InvalidInputError: If a person has the same image twice, or a person's name is no Unicode
            text (a folder name in another encoding), so that it cannot be hashed.

    Can be pickled and so be used by several processes.
    """

    images: Mapping[str, tuple[str, ...]]
    path: Path | None = None
    skipped: tuple[SkippedImage, ...] = ()

    def __post_init__(self) -> None:
        if not self.images:
            raise EmptySetError("images: expected at least one person, got none.")
        ordered: dict[str, tuple[str, ...]] = {}
        for subject in sorted(self.images, key=composed):
            names = tuple(sorted(self.images[subject], key=composed))
            if not names:
                raise EmptySetError(
                    f"images: {subject!r} has no images. Leave people without images out."
                )
            check_unicode(subject)
            if len(set(names)) < len(names):
                raise InvalidInputError(f"images: {subject!r} has the same image more than once.")
            ordered[subject] = names
        object.__setattr__(self, "images", MappingProxyType(ordered))

    @property
    def num_images(self) -> int:
        """Images of all people together."""
        return sum(map(len, self.images.values()))

    def read(self, source: str) -> bytes:
        """The bytes of an image file.

        Args:
            source: Its name, as in `images`.

        Raises:
            UnsupportedOperationError: If `path` is None.
            MissingFileError: If the folder has no such file.
            FileFormatError: If the archive has no such member, it cannot be read, or the file has
                more than `probefusion.faces.images.MAX_FILE_BYTES`.
        """
        if self.path is None:
            raise UnsupportedOperationError(
                "these people were given by name only, so their images cannot be read. "
                "Give path, or use read_people."
            )
        if self.path.is_dir():
            path = check_existing(self.path / source, name="image")
            num_bytes = path.stat().st_size
        else:
            num_bytes = self._member(source).file_size
        if num_bytes > MAX_FILE_BYTES:
            raise FileFormatError(
                f"{in_one_line(source)}: expected at most {MAX_FILE_BYTES:,} bytes, got {num_bytes:,}."
            )
        try:
            return path.read_bytes() if self.path.is_dir() else self._archive.read(source)
        except READ_ERRORS as error:
            raise FileFormatError(
                f"{in_one_line(source)} of {str(self.path)!r} could not be read ({reason_of(error)})."
            ) from error

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        """Opened once: the list of members is long."""
        if self.path is None:
            raise UnsupportedOperationError("no archive: path is None.")
        return _open_zip(self.path)

    def _member(self, source: str) -> zipfile.ZipInfo:
        try:
            return self._archive.getinfo(source)
        except KeyError as error:
            raise FileFormatError(f"{str(self.path)!r} has no member {source!r}.") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"images": dict(self.images), "path": self.path, "skipped": self.skipped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        object.__setattr__(self, "images", MappingProxyType(state["images"]))


def read_people(path: str | Path) -> People:
    """Lists the images of a folder, or of a zip archive of its content, with one folder per person.

    An image is `<person>/<file>` with one of the suffixes that `probefusion.faces.list_images`
    takes for images; nothing is decoded. Images that lie elsewhere or have a format that is not
    read are listed in `skipped`; other files and hidden ones are passed over.

    Args:
        path: The folder or the `.zip` file.

    Returns:
        The people, with names such as `Ann_Lee/Ann_Lee_0001.jpg`, the same for both.

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If it is neither a folder nor a readable zip archive, has no person
            folders or any without images, or the archive has a member twice.
    """
    return _listed(path, "<person>/<file>")


def read_people_and_media(path: str | Path) -> People:
    """The same of a folder with a folder per person, and in it one per medium: `<person>/<medium>/<file>`.

    Args:
        path: The folder or the `.zip` file.

    Returns:
        The people, with names such as `Ann_Lee/holiday/0001.jpg`.

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: As for `read_people`.
    """
    return _listed(path, "<person>/<medium>/<file>")


def _listed(path: str | Path, layout: str) -> People:
    path = check_existing(path, name="image folder")
    if path.is_dir():
        relative = [item.relative_to(path) for item in path.iterdir() if item.is_dir()]
        folders = {item.name for item in relative}
    else:
        if path.suffix.lower() != ".zip":
            raise FileFormatError(
                f"{str(path)!r}: expected a folder or a .zip archive, got a file."
            )
        with _open_zip(path) as archive:
            members = [entry.filename for entry in archive.infolist()]
        if len(set(members)) < len(members):
            raise FileFormatError(f"{str(path)!r} has a member more than once. Pack it again.")
        members = [plain_name(name) for name in members if odd_zip_name(name) is None]
        folders = {
            PurePosixPath(name).parts[0]
            for name in members
            if len(PurePosixPath(name).parts) > 1 or (name.endswith("/") and name.strip("./"))
        }
    found, skipped = list_images(path)
    images: dict[str, list[str]] = {
        name: [] for name in folders if not name.startswith(".") and name != "__MACOSX"
    }
    for image in found:
        name = image.member or image.path.relative_to(path).as_posix()
        parts = PurePosixPath(name if image.member is None else plain_name(name)).parts
        if len(parts) == layout.count("/") + 1:
            images[parts[0]].append(name)
        else:
            reason = f"expected {layout}, got {len(parts) - 1} folders above the file"
            skipped.append(SkippedImage(source=image.name, reason=reason))
    if path.is_dir():
        for person, names in images.items():
            once = each_file_once([(name, path / name) for name in names])
            images[person] = list(once.kept)
            skipped += [
                SkippedImage(source=(path / name).as_posix(), reason=reason)
                for name, reason in once.others
            ]
    empty = sorted(name for name, names in images.items() if not names)
    if empty or not images:
        problem = (
            f"{len(empty)} person folders without images, the first {empty[0]!r}"
            if empty
            else "no person folders"
        )
        deeper = f" {len(skipped)} images lie elsewhere or cannot be read." if skipped else ""
        raise FileFormatError(
            f"{str(path)!r}: expected images as {layout}, got {problem}.{deeper} "
            f"Remove such folders, or give the folder that holds the person folders."
        )
    return People(
        images={name: tuple(names) for name, names in images.items()},
        path=path,
        skipped=tuple(skipped),
    )


def check_unicode(name: str, *, what: str = "person names") -> None:
    """Refuses a name that cannot be hashed.

    Args:
        name: The name, as the operating system gave it.
        what: What such names are of, for the message.

    Raises:
        InvalidInputError: If it holds bytes of another encoding.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        of = "file" if what == "image names" else "folder"
        raise InvalidInputError(
            f"images: expected {what} in Unicode, got {name!r}. Rename that {of} in UTF-8."
        ) from error


def _open_zip(path: Path) -> zipfile.ZipFile:
    return open_zip(
        path,
        expected="a folder or a zip archive",
        step="Give a folder with one folder of images per person.",
    )


def composed(text: str) -> str:
    """The text in Unicode's composed form NFC: one spelling on every file system."""
    return unicodedata.normalize("NFC", text)


def namesake_key(name: str) -> str:
    """What the names of one person have in common: NFC, case-folded, with `_` read as a space."""
    return composed(composed(name).casefold()).replace("_", " ")


def refuse_namesakes(subjects: Iterable[str]) -> None:
    """Refuses two people of one name.

    Raises:
        InvalidInputError: If there are two.
    """
    seen: dict[str, str] = {}
    for subject in subjects:
        other = seen.setdefault(namesake_key(subject), subject)
        if other != subject:
            raise InvalidInputError(
                f"people: {other!r} and {subject!r} are one name, taken for one person. "
                f"Put their images into one folder, or rename one of two different people."
            )
