"""A folder of people's folders into a gallery: one person after the other, and again from where it stopped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    NotUsableError,
    OutputExistsError,
    SeveralPeopleError,
)
from probefusion.faces.listing import as_text, is_hidden
from probefusion.files import check_existing, sha256_of
from probefusion.files.paths import brief
from probefusion.gallery.core import check_new_name
from probefusion.gallery.results import Added
from probefusion.pipeline.results import Fused
from probefusion.pipeline.strangers import Strangers

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.pipeline.pipeline import Pipeline

__all__ = ["EnrolledPerson", "Outcome", "enroll_people", "folders_of_people", "source_of_folder"]

Outcome: TypeAlias = Literal["added", "there already", "left out"]
"""What became of a person's folder."""


@dataclass(frozen=True, kw_only=True)
class EnrolledPerson:
    """What became of a person's folder.

    Args:
        name: Name of the folder, and of the person.
        outcome: What became of it.
        added: What was added, or None.
        fused: What the pipeline found in it, or None.
        reason: Why it was left out, or "".
    """

    name: str
    outcome: Outcome
    added: Added | None = None
    fused: Fused | None = None
    reason: str = ""


def enroll_people(
    gallery: Gallery,
    pipeline: Pipeline,
    folder: str | os.PathLike[str],
    *,
    adds_people: bool = True,
    adds_visits: bool = False,
    guard: bool = True,
    strangers: Strangers = "tell",
    time: datetime | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Iterator[EnrolledPerson]:
    """Enrols, or updates, a person for each folder in a folder; each is kept before the next is begun.

    A run that was stopped is repeated as it was: folders whose very files are in the gallery already are passed over.

    Args:
        gallery: Where to.
        pipeline: Finds and embeds the faces.
        folder: A folder with a folder of images for each person, by name.
        adds_people: Whether people who are not there are made known; otherwise they are left out.
        adds_visits: Whether people who are there get the images as a visit; otherwise they are left out.
        guard: Whether visits that seem to be of somebody else are held back, as for `Gallery.update`.
        strangers: As for `Pipeline.fuse`; people who are refused are left out.
        time: When the images were taken; None takes the clock.
        progress: Called with "people", how many are done, and in all.

    Yields:
        What became of each folder, in the order of their names.

    Raises:
        ConfigError: If it is no folder of folders.
        ProbeFusionError: If the gallery cannot be written.
    """
    people = folders_of_people(folder)
    adding = _Adding(
        gallery=gallery,
        pipeline=pipeline,
        adds_people=adds_people,
        adds_visits=adds_visits,
        guard=guard,
        strangers=strangers,
        time=time,
        held={(name, part.source) for name, part in gallery.held()},
    )
    for place, path in enumerate(people):
        if progress is not None:
            progress("people", place, len(people))
        yield adding.one(path)
    if progress is not None:
        progress("people", len(people), len(people))


def source_of_folder(path: str | os.PathLike[str]) -> str:
    """How a gallery names a folder as the source of images: its name, and a digest of names and bytes of its files.

    Args:
        path: A folder of a person.
    """
    root = Path(path)
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if not file.is_file() or any(map(is_hidden, file.relative_to(root).parts)):
            continue
        name = os.fsencode(file.relative_to(root).as_posix())
        digest.update(len(name).to_bytes(8, "big") + name)
        digest.update(bytes.fromhex(sha256_of(file)))
    return f"{as_text(root.name)} sha256:{digest.hexdigest()[:32]}"


def folders_of_people(folder: str | os.PathLike[str]) -> list[Path]:
    """The folders of the people in a folder, by name.

    Raises:
        MissingFileError, ConfigError, FileFormatError: If it is not there, is a file, or has no folders in it.
    """
    root = check_existing(os.fspath(folder), name="folder of people")
    if not root.is_dir():
        raise ConfigError(
            f"folder of people: expected a folder with a folder of images for each person, got the file "
            f"{brief(str(root))}. Unpack an archive first."
        )
    found = sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
    if not found:
        raise FileFormatError(
            f"{root}: expected a folder with a folder of images for each person, found no folders in it. For one "
            f"person give the folder without --people."
        )
    return found


@dataclass(frozen=True, kw_only=True)
class _Adding:
    """How folders are added; `held` has the names and sources of what waits to be accepted or rejected."""

    gallery: Gallery
    pipeline: Pipeline
    adds_people: bool
    adds_visits: bool
    guard: bool
    strangers: Strangers
    time: datetime | None
    held: set[tuple[str, str]]

    def one(self, path: Path) -> EnrolledPerson:
        name = as_text(path.name)
        is_known = name in self.gallery
        try:
            source = source_of_folder(path)
            if self._is_there(name, source, is_known=is_known):
                return EnrolledPerson(name=name, outcome="there already")
            self._check_wanted(name, is_known=is_known)  # before the images are embedded
        except (ConfigError, PermissionError) as error:
            return EnrolledPerson(name=name, outcome="left out", reason=str(error))
        try:
            fused = self.pipeline.fuse(path, one_person=True, strangers=self.strangers)
        except (EmptySetError, SeveralPeopleError, NotUsableError) as error:
            return EnrolledPerson(name=name, outcome="left out", reason=str(error))
        try:
            added = self._add(name, fused, source, is_known=is_known)
        except OutputExistsError as error:  # another process was faster
            if self._is_there(name, source, is_known=True):
                return EnrolledPerson(name=name, outcome="there already")
            return EnrolledPerson(name=name, outcome="left out", reason=str(error))
        return EnrolledPerson(name=name, outcome="added", added=added, fused=fused)

    def _add(self, name: str, fused: Fused, source: str, *, is_known: bool) -> Added:
        if is_known:
            return self.gallery.update(name, fused, guard=self.guard, source=source, time=self.time)
        return self.gallery.enroll(name, fused, source=source, time=self.time)

    def _is_there(self, name: str, source: str, *, is_known: bool) -> bool:
        if (name, source) in self.held:
            return True
        return is_known and any(
            each.source == source for each in self.gallery.person(name).contributions
        )

    def _check_wanted(self, name: str, *, is_known: bool) -> None:
        """Refuses whom the command does not add.

        Raises:
            ConfigError: If the person is left out, saying why.
        """
        if is_known and not self.adds_visits:
            raise ConfigError(
                "somebody of that name is there, from other files; add these with update"
            )
        if not is_known:
            check_new_name(name)
            if not self.adds_people:
                raise ConfigError("nobody of that name is there; make the person known with enroll")
