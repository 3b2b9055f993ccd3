"""Erases people and images from an archive: from its rows, from stored states, and from templates."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from probefusion.archives.erasing.erased_rows import FoundRows, find_rows, write_without
from probefusion.archives.erasing.erased_states import ErasedStates
from probefusion.archives.files.locks import clean_drafts
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    is_url,
    open_file,
    remove,
    shown_place,
    writing,
)
from probefusion.archives.fusing.finishing import finish
from probefusion.archives.manifest import forget, is_work
from probefusion.archives.rows.archive import Archive, ArchiveFile
from probefusion.archives.rows.open import open_archive
from probefusion.archives.states.settled_files import after_erasure, measured, settled
from probefusion.archives.states.state_commits import changing, commit, present_hash
from probefusion.archives.states.states import StoredStates, open_states
from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    FuserMismatchError,
    MismatchError,
    UnsupportedOperationError,
)
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.types.template_files import (
    TemplateColumns,
    read_template_file,
    write_template_file,
)

__all__ = ["ErasureReceipt", "erase_from_archive"]

_UNCHANGED_FOR = 3600.0
"""Seconds after which a half written file beside others is of a process that was killed."""
_WHOLE = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ErasureReceipt:
    """What was erased.

    Args:
        when: Date and time, UTC.
        people: Ids of the people of whom nothing is left: those asked for, and those whose last image went.
        images: Names of the images that were erased.
        not_found: People and images that were asked for and are nowhere.
        recomputed: Ids of the people whose states and templates were made anew from the images that remain.
        rows: Rows that were erased from each file that was written anew.
        num_templates: Templates that are left; None where no templates were given.
    """

    when: str
    people: tuple[int | str, ...]
    images: tuple[str, ...]
    not_found: tuple[str, ...]
    recomputed: tuple[int | str, ...]
    rows: tuple[tuple[str, int], ...]
    num_templates: int | None


def erase_from_archive(
    *,
    people: Sequence[int | str] = (),
    images: Sequence[str] = (),
    archives: Sequence[Place] = (),
    by: str = "template_id",
    states: Place | None = None,
    templates: Place | None = None,
    fuser: Fuser | None = None,
) -> ErasureReceipt:
    """Erases people and images wherever it is told they are.

    Afterwards rows, states and templates are what they would be had the archive never held them, bit for bit, if its
    row groups had been the same. Files are replaced at once or not at all; if it is interrupted, give it again.

    Args:
        people: Ids. Where ids are integers, texts of digits are taken for them.
        images: Texts of the column `source`.
        archives: Parquet files or folders of them, from which rows are erased; with `states` and `images` all files
            that were fused into the states.
        by: Column that holds the ids.
        states: Folder of states that `fuse_archive` kept.
        templates: File of templates; with `states` it is made anew from them.
        fuser: The fuser of the states, where images are erased from them.

    Returns:
        What was done.

    Raises:
        ConfigError: If nothing is asked for, or what is needed for it is not given.
        UnsupportedOperationError: If an archive is a folder of arrays.
        FuserMismatchError: If the states are of another fuser.
        MismatchError: If a file that was fused into the states is not there, or was changed since, or the states are
            of ids of another column.
        FileFormatError: If a file cannot be read; nothing is erased then.
    """
    _check(people, images, archives, states, templates, fuser)
    if states is not None:
        open_states(states)  # no folder is made where there are none
    with changing(states):
        return _erase(people, images, archives, by, states, templates, fuser)


def _erase(
    people: Sequence[int | str],
    images: Sequence[str],
    archives: Sequence[Place],
    by: str,
    states: Place | None,
    templates: Place | None,
    fuser: Fuser | None,
) -> ErasureReceipt:
    opened = [open_archive(place, by=by) for place in archives]
    for archive in opened:
        if any(not file.name.lower().endswith(".parquet") for file in archive.files):
            raise UnsupportedOperationError(
                f"archive {in_one_line(archive.name)}: rows are erased from Parquet files only. Write it as Parquet, "
                f"or make the arrays anew without the rows."
            )
    _check_readable(opened)
    present = None if states is None else present_hash(states)
    stored = None if states is None else open_states(states)
    if stored is not None and states is not None:
        _check_fits(stored, states, opened, by, fuser)
    if templates is not None and stored is None:
        _check_kinds(templates, opened)
    wanted = _typed(people, opened, stored)
    found: dict[str, Found] = {}
    for archive in opened:
        for file in archive.files:
            place = absolute_place(file.place)  # one file may be named in several ways
            if place not in found:
                own = replace(file, place=place)
                found[place] = (archive, own, find_rows(archive, own, wanted, images))
    gone, recomputed = set(_in_rows(found, wanted)), set()
    touched = [entry for entry in found.values() if len(entry[2].rows)]
    num_templates = None
    if templates is not None:
        if stored is not None:
            _check_templates(templates, stored)
        _remove_work(templates)
    changed: list[Place] = [file.place for _, file, _ in touched]
    for each in (*changed, *([] if templates is None else [templates])):
        if not is_url(each):
            clean_drafts(Path(each).parent, unchanged_for=_UNCHANGED_FOR)
    if stored is not None and states is not None:
        files, matches = settled(stored, states, [file for _, file, _ in found.values()])
        # Committed before anything changes: no run that was interrupted goes on from states that hold the erased.
        unsettled = () if opened else stored.unsettled
        stored = replace(stored, files=files, unsettled=unsettled, revision=stored.revision + 1)
        present = commit(states, stored, present=present)
        by_number = {number: found[file.place] for number, file in matches.items()}
        outcome = ErasedStates(states, stored, fuser, by_number).erase(wanted)
        gone |= outcome.gone
        recomputed = outcome.recomputed
        if templates is not None:
            num_templates = _templates_of(states, stored, templates)
        after = after_erasure(stored, {n: entry[2].rows for n, entry in by_number.items()})
        if touched:
            present = commit(states, replace(stored, unsettled=after), present=present)
        for _, file, rows in touched:
            write_without(file, rows)
        if touched:
            now = {fused.offset: fused for fused in after}
            files = tuple(
                measured(now[fused.offset], matches[number].place)
                if number in matches and fused.offset in now and len(by_number[number][2].rows)
                else fused
                for number, fused in enumerate(stored.files)
            )
            commit(states, replace(stored, files=files, unsettled=()), present=present)
    else:
        if templates is not None:
            had, num_templates = _from_templates(templates, wanted)
            gone |= had
        for _, file, rows in touched:
            write_without(file, rows)
    seen = set().union(*(entry[2].images for entry in found.values()), set())
    lost = [name for name in images if name not in seen]
    return ErasureReceipt(
        when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        people=tuple(sorted(gone, key=str)),
        images=tuple(sorted(seen)),
        not_found=(*sorted(_not_found(people, gone)), *lost),
        recomputed=tuple(sorted(recomputed, key=str)),
        rows=tuple((file.name, len(rows.rows)) for _, file, rows in touched),
        num_templates=num_templates,
    )


Found = tuple[Archive, ArchiveFile, FoundRows]


def _check(
    people: Sequence[Any],
    images: Sequence[str],
    archives: Sequence[Place],
    states: Place | None,
    templates: Place | None,
    fuser: Fuser | None,
) -> None:
    if not people and not images:
        raise ConfigError("people, images: expected at least one to erase, got none.")
    if not archives and states is None and templates is None:
        raise ConfigError("archives, states, templates: expected at least one to erase from.")
    if images and not archives:
        raise ConfigError("images: are found in an archive's rows; give it with archives=.")
    if images and states is not None and fuser is None:
        raise ConfigError("fuser: the states of the images' people are made anew; give the fuser.")
    if images and templates is not None and states is None:
        raise ConfigError(
            "templates: an image is taken out of them by the states; give states=, or fuse the archive again."
        )


def _check_readable(opened: Sequence[Archive]) -> None:
    """Refuses archives of which something cannot be read, as whom it holds cannot be told, and ids of two kinds."""
    texts = [archive for archive in opened if archive.id_kind == "texts"]
    others = [archive for archive in opened if archive.id_kind != "texts"]
    if texts and others:
        raise MismatchError(
            f"archives: the ids of {in_one_line(texts[0].name)} are texts, those of {in_one_line(others[0].name)} are "
            f"{others[0].id_kind}. Erase from one after the other."
        )
    for archive in opened:
        for file in archive.failed_files:
            raise FileFormatError(
                f"{in_one_line(file.name)}: cannot be read, so nothing was erased: {file.reason} Mend it or take it "
                f"out of the archive."
            )


def _check_fits(
    stored: StoredStates, states: Place, opened: Sequence[Archive], by: str, fuser: Fuser | None
) -> None:
    where, settings = shown_place(states), stored.settings
    if fuser is not None and fuser.fingerprint != settings.fuser:
        raise FuserMismatchError(
            f"states {where!r}: made with {settings.fuser}, got {fuser.fingerprint}. Use the same fuser."
        )
    if opened and by != settings.by:
        raise MismatchError(
            f"states {where!r}: of the ids in the column {settings.by!r}, got by={by!r}. Use the same: --by "
            f"{settings.by}."
        )
    for archive in opened:
        if (archive.id_kind == "texts") != (settings.id_kind == "texts"):
            raise MismatchError(
                f"states {where!r}: their ids are {settings.id_kind}, those of the archive {in_one_line(archive.name)} "
                f"are {archive.id_kind}. Give the archive that they were made of."
            )


def _typed(
    people: Sequence[int | str], opened: Sequence[Archive], stored: StoredStates | None
) -> set[int | str]:
    """Ids of the type that the archive has; a text that is no number is no id of an archive of integers."""
    kinds = [archive.id_kind for archive in opened]
    kinds += [] if stored is None else [stored.settings.id_kind]
    if not kinds:
        return set(people)
    if kinds[0] == "texts":
        return {str(name) for name in people}
    return {int(name) for name in people if _WHOLE.fullmatch(str(name))}


def _not_found(people: Sequence[int | str], gone: set[int | str]) -> set[str]:
    """Texts of the people who were asked for and are nowhere."""
    return {str(name) for name in people} - {str(name) for name in gone}


def _templates_of(states: Place, stored: StoredStates, templates: Place) -> int:
    """Writes the templates of states anew; where none is left, the file goes."""
    try:
        finished = finish(stored.buckets(states), stored.settings, str(templates), force=True)
    except EmptySetError:
        remove(templates)
        return 0
    return finished.num_templates


def _check_templates(place: Place, stored: StoredStates) -> None:
    """Refuses templates that were not made of states.

    Raises:
        MissingFileError, FileFormatError: If there is no file of templates.
        MismatchError: If it is of another fuser or embedder.
    """
    columns = _read_templates(place)
    made_by, expected = (
        (columns.fuser, columns.embedder),
        (stored.settings.fuser, stored.settings.embedder),
    )
    if made_by != expected:
        raise MismatchError(
            f"templates {shown_place(place)!r}: expected those of the states, of fuser and embedder {expected}, got "
            f"{made_by}. Name the file that was made with the states."
        )


def _check_kinds(place: Place, opened: Sequence[Archive]) -> None:
    """Refuses templates whose ids are of another kind than those of an archive: 7 and "7" may be two people.

    Raises:
        MismatchError: If they are.
    """
    kind = "texts" if _read_templates(place).ids.dtype.kind == "U" else "integers"
    for archive in opened:
        if (archive.id_kind == "texts") != (kind == "texts"):
            raise MismatchError(
                f"templates {shown_place(place)!r}: their ids are {kind}, those of the archive "
                f"{in_one_line(archive.name)} are {archive.id_kind}. Erase from one after the other."
            )


def _read_templates(place: Place) -> TemplateColumns:
    if not is_url(place):
        return read_template_file(Path(place))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(str(place)).name
        with open_file(place) as stream:
            path.write_bytes(stream.read())
        return read_template_file(path)


def _remove_work(templates: Place) -> None:
    """Removes what an interrupted run has left of the rows of the archive."""
    work = f"{templates}.work"
    if is_work(work):
        forget(work)


def _in_rows(found: dict[str, Found], wanted: set[int | str]) -> Iterator[int | str]:
    for _, _, rows in found.values():
        yield from rows.people & wanted


def _from_templates(place: Place, wanted: set[int | str]) -> tuple[set[int | str], int]:
    """Takes people out of a file of templates; which of them were there, and how many templates are left."""
    columns = _read_templates(place)
    names = {str(name) for name in wanted}
    kept = [row for row, name in enumerate(columns.ids.tolist()) if str(name) not in names]
    had = {name for name in columns.ids.tolist() if str(name) in names}
    left = TemplateColumns(
        ids=columns.ids[kept],
        num_images=columns.num_images[kept],
        vectors=columns.vectors[kept],
        fuser=columns.fuser,
        embedder=columns.embedder,
        states=None if columns.states is None else [columns.states[row] for row in kept],
        usability=None if columns.usability is None else columns.usability[kept],
    )
    if not is_url(place):
        write_template_file(Path(place), left, force=True)
        return had, len(kept)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / Path(str(place)).name
        write_template_file(draft, left, force=True)
        with writing(place) as stream:
            stream.write(draft.read_bytes())
    return had, len(kept)
