"""Erases people and images from an archive: from its rows, from stored states, and from templates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.archives.archive import Archive, ArchiveFile
from probefusion.archives.erased_rows import FoundRows, find_rows, write_without
from probefusion.archives.erased_states import ErasedStates
from probefusion.archives.finishing import finish
from probefusion.archives.open import open_archive
from probefusion.archives.states import FusedFile, StoredStates, commit, open_states
from probefusion.archives.storage import Place, is_url, open_file, shown_place, stored_file, writing
from probefusion.errors import (
    ConfigError,
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
        MismatchError: If a file that was fused into the states is not there, or was changed since.
        FileFormatError: If a file cannot be read.
    """
    _check(people, images, archives, states, templates, fuser)
    opened = [open_archive(place, by=by) for place in archives]
    for archive in opened:
        if any(not file.name.lower().endswith(".parquet") for file in archive.files):
            raise UnsupportedOperationError(
                f"archive {in_one_line(archive.name)}: rows are erased from Parquet files only. Write it as Parquet, "
                f"or make the arrays anew without the rows."
            )
    stored = None if states is None else _settled(states, open_states(states), opened)
    if stored is not None and fuser is not None and fuser.fingerprint != stored.settings.fuser:
        raise FuserMismatchError(
            f"states {shown_place(states or '')!r}: made with {stored.settings.fuser}, got {fuser.fingerprint}. Use "
            f"the same fuser."
        )
    wanted = set(_typed(people, opened, stored))
    found = {
        file.place: (archive, file, find_rows(archive, file, wanted, images))
        for archive in opened
        for file in archive.files
    }
    gone, recomputed = set(_in_rows(found, wanted)), set()
    num_templates = None
    if stored is not None and states is not None:
        work = ErasedStates(states, stored, fuser, list(found.values()))
        outcome = work.erase(wanted)
        gone |= outcome.gone
        recomputed = outcome.recomputed
        if templates is not None:
            finished = finish(stored.buckets(states), stored.settings, str(templates), force=True)
            num_templates = finished.num_templates
    elif templates is not None:
        had, num_templates = _from_templates(templates, wanted)
        gone |= had
    touched = [entry for entry in found.values() if len(entry[2].rows)]
    after = None if stored is None else _after(stored, touched)
    if states is not None and stored is not None and after is not None and touched:
        commit(states, replace(stored, unsettled=after))
    for _, file, rows in touched:
        write_without(file, rows.rows)
    if states is not None and stored is not None and after is not None and touched:
        places = {file.name: file.place for _, file, _ in touched}
        commit(
            states, _with(stored, [_measured(fused, places[fused.file.name]) for fused in after])
        )
    seen = set().union(*(entry[2].images for entry in found.values()), set())
    lost = [name for name in images if name not in seen]
    return ErasureReceipt(
        when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        people=tuple(sorted(gone, key=str)),
        images=tuple(sorted(seen)),
        not_found=(*sorted(str(name) for name in wanted - gone), *lost),
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


def _typed(
    people: Sequence[int | str], opened: Sequence[Archive], stored: StoredStates | None
) -> Iterator[int | str]:
    """Ids of the type that the archive has; a text that is no number is no id of an archive of integers."""
    kinds = [archive.id_kind for archive in opened]
    kinds += [] if stored is None else [stored.settings.id_kind]
    for name in people:
        if kinds and kinds[0] != "texts":
            with suppress(ValueError):
                yield int(name)
            continue
        yield name if not kinds else str(name)


def _in_rows(found: dict[str, Found], wanted: set[int | str]) -> Iterator[int | str]:
    for _, _, rows in found.values():
        yield from rows.people & wanted


def _settled(folder: Place, stored: StoredStates, opened: Sequence[Archive]) -> StoredStates:
    """The states' files as they are now; those that an interrupted erasure had written are known by their rows.

    Raises:
        MismatchError: If a file is not there or was changed; only where files are given.
    """
    if not opened:
        return stored
    known = {file.name: file for archive in opened for file in archive.files}
    waiting = {fused.file.name: fused for fused in stored.unsettled}
    settled = []
    for fused in stored.files:
        name, now = fused.file.name, known.get(fused.file.name)
        after = waiting.get(name)
        rows = 0 if now is None else now.num_rows
        if after is not None and rows == after.file.num_rows:
            fused = after if now is None else _measured(after, now.place)
        elif fused.file.num_rows and (
            now is None or (now.size, now.tag) != (fused.file.size, fused.file.tag)
        ):
            raise MismatchError(
                f"{in_one_line(name)}: was fused into the states {shown_place(folder)!r} and "
                f"{'is not there' if now is None else 'was changed since'}. Give all files that were fused, or make "
                f"the states anew."
            )
        settled.append(fused)
    return replace(stored, files=tuple(settled), unsettled=())


def _after(stored: StoredStates, touched: Sequence[Found]) -> tuple[FusedFile, ...]:
    """The files as they will be without the rows."""
    gone = {file.name: rows.rows for _, file, rows in touched}
    return tuple(
        without_rows(fused, gone[fused.file.name])
        for fused in stored.files
        if fused.file.name in gone
    )


def without_rows(fused: FusedFile, rows: Any) -> FusedFile:
    """A file without some rows: its cuts move with them."""
    borders = np.array(fused.file.borders)
    moved = borders - np.searchsorted(rows, borders)
    erased = sorted([*fused.erased, *(fused.original(rows) - fused.offset).tolist()])
    return replace(
        fused,
        file=replace(
            fused.file,
            num_rows=fused.file.num_rows - len(rows),
            borders=tuple(moved.tolist()),
        ),
        erased=tuple(erased),
    )


def _measured(fused: FusedFile, place: str) -> FusedFile:
    now = stored_file(place)
    return replace(fused, file=replace(fused.file, size=now.size, tag=now.tag))


def _with(stored: StoredStates, files: Sequence[FusedFile]) -> StoredStates:
    new = {fused.file.name: fused for fused in files}
    return replace(
        stored,
        files=tuple(new.get(fused.file.name, fused) for fused in stored.files),
        unsettled=(),
    )


def _from_templates(place: Place, wanted: set[int | str]) -> tuple[set[int | str], int]:
    """Takes people out of a file of templates; which of them were there, and how many templates are left."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / Path(str(place)).name
        if is_url(place):
            with open_file(place) as stream:
                draft.write_bytes(stream.read())
        columns = read_template_file(draft if is_url(place) else Path(place))
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
        )
        if not is_url(place):
            write_template_file(Path(place), left, force=True)
        else:
            write_template_file(draft, left, force=True)
            with writing(place) as stream:
                stream.write(draft.read_bytes())
    return had, len(kept)
