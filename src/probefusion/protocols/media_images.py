"""The images of media-folder: whose they are, of which medium, how large the face was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError, InvalidInputError, MissingFileError
from probefusion.faces.images import SkippedImage
from probefusion.files.reading import open_zip, read_bytes, reading
from probefusion.io.face_table import FaceTable, read_face_table
from probefusion.protocols.people import (
    People,
    check_unicode,
    composed,
    read_people,
    read_people_and_media,
)

__all__ = ["MediaImages", "group_finder", "open_face_table", "read_media_images"]

_LARGEST_TABLE = 1 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaImages:
    """Images with person, medium and, where known, the width of the face.

    Args:
        people: Who has which images and where they lie.
        media: Medium of each image by its name.
        face_px: Width of the face in pixels by the image's name, where it is known.
        skipped: Images that were left out, and why.
        facts: Where media and widths come from, for reports.

    Raises:
        InvalidInputError: If an image has no medium, or a name is no Unicode text.
    """

    people: People
    media: Mapping[str, str]
    face_px: Mapping[str, float] = field(default_factory=dict)
    skipped: tuple[SkippedImage, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for names in self.people.images.values():
            for name in names:
                check_unicode(name, what="image names")
                if not self.media.get(name):
                    raise InvalidInputError(f"media: expected one of {name!r}, got none.")

    def with_faces(self, table: FaceTable) -> MediaImages:
        """The same images with the widths of a table; those without a row are of unknown width.

        Raises:
            InvalidInputError: If no row is of an image here: its paths are others.
        """
        mine = {composed(name): name for names in self.people.images.values() for name in names}
        rows = dict(zip(map(composed, table.files), table.face_px.tolist(), strict=True))
        matched = {mine[name]: width for name, width in rows.items() if name in mine}
        if not matched:
            first = table.files[0] if table.files else "no rows"
            raise InvalidInputError(
                f"faces {table.origin}: expected a row for some of the {len(mine)} images, as "
                f"{next(iter(mine))!r}, got {first!r} first and none that fits. The column file holds "
                f"paths below the data folder."
            )
        facts = {
            "file": table.origin,
            "sha256": table.sha256,
            "num_rows": len(rows),
            "num_rows_of_no_image": len(rows) - len(matched),
        }
        return replace(
            self,
            face_px={name: width for name, width in matched.items() if width == width},
            facts={**self.facts, "faces": facts},
        )

    def without(self, names: Iterable[str], reason: str) -> MediaImages:
        """The images but some, which are listed as skipped.

        Raises:
            FileFormatError: If nobody is left.
        """
        gone = set(names)
        images = {
            subject: tuple(name for name in mine if name not in gone)
            for subject, mine in self.people.images.items()
        }
        left = {subject: mine for subject, mine in images.items() if mine}
        if not left:
            raise FileFormatError(
                f"{self.people.path}: expected some images to be left, got {reason} for all "
                f"{len(gone)}."
            )
        more = tuple(SkippedImage(source=name, reason=reason) for name in sorted(gone))
        return replace(
            self, people=replace(self.people, images=left), skipped=(*self.skipped, *more)
        )

    def widths(self, names: Iterable[str]) -> npt.NDArray[np.float64]:
        """Width of the face in each image, NaN where it is not known."""
        return np.array([self.face_px.get(name, np.nan) for name in names], dtype=np.float64)


def read_media_images(path: str | Path, *, media_from: str | None = None) -> MediaImages:
    """Lists the images of a folder or zip archive with people and media; nothing is decoded.

    Args:
        path: The folder or the `.zip` file: `<person>/<medium>/<file>`, or `<person>/<file>` with
            `media_from`.
        media_from: Regular expression with a group `medium`, searched in the file's name; a file in
            which it finds no medium is listed as skipped. None takes the folder's name.

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: As for `read_people`, or if no file has a medium.
        ConfigError: If `media_from` is no regular expression or lacks the group.
        InvalidInputError: If a name is no Unicode text.
    """
    if media_from is None:
        people = _with_hint(path)
        media = {
            name: PurePosixPath(name).parts[1] for mine in people.images.values() for name in mine
        }
        facts: dict[str, object] = {"media_from": "folder"}
        return MediaImages(people=people, media=media, skipped=people.skipped, facts=facts)
    medium_of = group_finder(media_from, "medium", "media_from")
    people = read_people(path)
    found = {
        name: medium_of(PurePosixPath(name).name)
        for mine in people.images.values()
        for name in mine
    }
    media = {name: medium or "?" for name, medium in found.items()}
    images = MediaImages(
        people=people, media=media, skipped=people.skipped, facts={"media_from": media_from}
    )
    missing = [name for name, medium in found.items() if not medium]
    if len(missing) == len(found):
        raise FileFormatError(
            f"media_from: expected {media_from!r} to find a medium in names as "
            f"{PurePosixPath(missing[0]).name!r}, got none in {len(missing)} files."
        )
    reason = f"no medium: {media_from!r} finds none in the file's name"
    return images.without(missing, reason) if missing else images


def open_face_table(
    faces: str | Path, data: str | Path, *, ignore: Iterable[str] = ()
) -> FaceTable:
    """Reads a table of faces: a file or, if there is none of that path, one of that name inside the data.

    Args:
        faces: The file, or its name below the data folder or in the zip archive.
        data: The data.
        ignore: Columns that are passed over.

    Raises:
        MissingFileError: If it is in neither place.
        FileFormatError: If it is not what `probefusion.io.face_table` says.
    """
    path, data = Path(faces), Path(data)
    if not path.exists() and data.is_dir() and (data / path).is_file():
        path = data / path
    if path.exists() or not data.is_file():
        content = read_bytes(path, at_most=_LARGEST_TABLE, name="faces")
        return read_face_table(content, origin=path.name, ignore=ignore)
    member = PurePosixPath(str(faces)).as_posix()
    with open_zip(data) as archive:
        try:
            entry = archive.getinfo(member)
        except KeyError as error:
            raise MissingFileError(
                f"faces: there is no file {str(faces)!r}, and none of that name in {data.name}."
            ) from error
        if entry.file_size > _LARGEST_TABLE:
            raise FileFormatError(
                f"{member} of {data.name}: expected at most {_LARGEST_TABLE:,} bytes, got {entry.file_size:,}."
            )
        with reading(f"{member} of {data.name}", "a readable member"):
            content = archive.read(member)
    return read_face_table(content, origin=member, ignore=ignore)


def group_finder(pattern: str, group: str, name: str) -> Callable[[str], str]:
    """What a pattern's group matches in a text, "" where it finds nothing.

    Args:
        pattern: A regular expression of Python's `re`.
        group: The group it must have.
        name: Of the setting, for messages.

    Raises:
        ConfigError: If it is no regular expression or lacks the group.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"{name}: expected a regular expression, got {pattern!r} ({error})."
        ) from error
    if group not in compiled.groupindex:
        raise ConfigError(
            f"{name}: expected a regular expression with a group (?P<{group}>...), got {pattern!r}."
        )

    def find(text: str) -> str:
        found = compiled.search(text)
        return "" if found is None else found[group] or ""

    return find


def _with_hint(path: str | Path) -> People:
    try:
        return read_people_and_media(path)
    except FileFormatError as error:
        try:
            read_people(path)
        except FileFormatError:
            raise error from None
        raise FileFormatError(
            f"{str(path)!r}: expected images as <person>/<medium>/<file>, got <person>/<file>. If the "
            f"medium stands in the file's name, say where: --media-from PATTERN (media_from=...)."
        ) from error
