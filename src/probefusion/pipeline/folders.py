"""Is this folder or archive one person, or many with a folder each?"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from probefusion.errors import ConfigError, FileFormatError
from probefusion.faces import ImageSource, SkippedImage, list_images
from probefusion.faces.listing import without_links
from probefusion.files.member_names import plain_name
from probefusion.files.reading import in_one_line
from probefusion.protocols.people import namesake_key

__all__ = ["check_one_person", "check_people", "people_inside", "tell_alike_names"]

_log = logging.getLogger("probefusion")

_NAMES_SHOWN = 3


def people_inside(path: Path) -> tuple[dict[str, list[ImageSource]], list[SkippedImage]]:
    """The images of each sub-folder of a folder or zip archive, which then is a person.

    Folders that hold nothing but one other folder are passed through. Images may lie deeper inside a
    person's folder.

    Args:
        path: The folder or `.zip` file.

    Returns:
        Images by name of the sub-folder, in order of the names, [] for a sub-folder without any; {} if
        images lie outside of sub-folders, or in fewer than two of them. And what was skipped: also further names of
        a file, by links, within a person.

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If a `.zip` file is no zip archive.
    """
    sources, skipped = list_images(path)
    placed = [(_folders_above(source, path), source) for source in sources]
    depth = 0
    while placed:
        if any(len(folders) <= depth for folders, _ in placed):
            return {}, skipped
        if len({folders[depth] for folders, _ in placed}) > 1:
            break
        depth += 1
    if not placed:
        return {}, skipped
    people: dict[str, list[ImageSource]] = {name: [] for name in _folders_of(path, placed, depth)}
    for folders, source in placed:
        people.setdefault(folders[depth], []).append(source)
    return {name: without_links(people[name], skipped) for name in sorted(people)}, skipped


def check_one_person(path: Path, *, command: str = "fuse", output: str = "TEMPLATE.npz") -> None:
    """Refuses a folder or zip archive whose sub-folders look like people.

    Args:
        path: The folder or archive; other files pass.
        command: The command that is named for the case that they are one person.
        output: What that command writes.

    Raises:
        ConfigError: If images lie in two or more sub-folders and none directly inside.
    """
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return
    people = [name for name, images in people_inside(path)[0].items() if images]
    if people:
        shown = in_one_line(path)
        names = ", ".join(
            [
                *map(in_one_line, people[:_NAMES_SHOWN]),
                *(["..."] if len(people) > _NAMES_SHOWN else []),
            ]
        )
        raise ConfigError(
            f"{shown}: holds {len(people)} folders of images ({names}) and no image of its own: is each folder "
            f"a person? For a template of each: probefusion fuse {shown} --people -o TEMPLATES.npz "
            f"(Pipeline.fuse_people). If they are all one person: probefusion {command} {shown} --one-person "
            f"-o {output} (one_person=True)."
        )


def check_people(path: Path) -> tuple[dict[str, list[ImageSource]], list[SkippedImage]]:
    """The people of a folder or zip archive, which must hold some.

    Raises:
        MissingFileError: If there is nothing at `path`.
        FileFormatError: If there are no people with a folder each.
    """
    people, skipped = people_inside(path)
    if not people:
        raise FileFormatError(
            f"{in_one_line(path)}: expected a folder or .zip archive with a folder of images for each of two or more "
            f"people, {_why_nobody(path)}"
        )
    tell_alike_names(people)
    return people, skipped


def tell_alike_names(people: Iterable[str]) -> None:
    """Notes in the log people whose names differ by case, underscores or the form of Unicode alone.

    File systems and packers change these; each still is a person of its own, as the names say.

    Args:
        people: Different names.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(people):
        alike.setdefault(namesake_key(name), []).append(name)
    pairs = [names for names in alike.values() if len(names) > 1]
    if pairs:
        shown = "; ".join(" and ".join(map(ascii, names)) for names in pairs[:_NAMES_SHOWN])
        _log.warning(
            "%d names are written in several ways, of which each is taken for a person of its own: %s%s. If they are "
            "one person, put the images into one folder.",
            *(len(pairs), shown, "; ..." if len(pairs) > _NAMES_SHOWN else ""),
        )


def _why_nobody(path: Path) -> str:
    sources, _ = list_images(path)
    if not sources:
        return "found no images."
    places = {_folders_above(source, path) for source in sources}
    step = "For one person's images leave --people out (Pipeline.fuse)."
    if len(places) == 1:
        folder = "/".join(next(iter(places)))
        where = f"in one folder only ({folder})" if folder else "in no folders"
        return f"found all {len(sources)} images {where}. {step}"
    outside = min(sources, key=lambda source: len(_folders_above(source, path)))
    return f"found images outside of such folders, as {outside.member or outside.path}. {step}"


def _folders_of(
    path: Path, placed: list[tuple[tuple[str, ...], ImageSource]], depth: int
) -> list[str]:
    """Names of the folders beside those that hold images; () for an archive, which need not list them."""
    if not path.is_dir():
        return []
    root = path.joinpath(*placed[0][0][:depth])
    return [item.name for item in root.iterdir() if item.is_dir() and not _is_hidden(item.name)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _folders_above(source: ImageSource, root: Path) -> tuple[str, ...]:
    inside = (
        source.path.relative_to(root).as_posix()
        if source.member is None
        else plain_name(source.member)
    )
    return PurePosixPath(inside).parts[:-1]
