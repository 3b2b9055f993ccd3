"""Giving a collection out as files, and taking such files in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probefusion.errors import EmbedderMismatchError, FuserMismatchError, OutputExistsError
from probefusion.gallery.contributions.models import embedder_name, serving
from probefusion.gallery.core import check_name
from probefusion.gallery.exchange.export_files import check_export_path, read_table, write_table
from probefusion.gallery.exchange.export_table import people_of, table_of
from probefusion.gallery.verbs.plain_people import PlainPerson
from probefusion.gallery.views import Stats
from probefusion.types.revisions import remedy_for_pair

if TYPE_CHECKING:
    from probefusion.gallery.gallery import Gallery

__all__ = [
    "Exported",
    "GalleryExport",
    "Imported",
    "export_people",
    "import_people",
    "not_exported",
    "read_export",
]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Args:
        num_people: People.
        num_contributions: Their contributions.
        num_images: Images of them, those taken out included.
        num_left_out: Images that are taken out; they are marked.
        was_encrypted: Whether the gallery is encrypted, which the export is not.
        not_exported: What the gallery has beside it, in words.
    """

    num_people: int
    num_contributions: int
    num_images: int
    num_left_out: int
    was_encrypted: bool
    not_exported: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class GalleryExport:
    """An export that was read.

    Args:
        collection: Name of the collection that it is of.
        embedder: Fingerprint of the embedder, or None.
        fuser: Fingerprint of the fuser, or None if it is of nobody.
        people: Everybody in it.
    """

    collection: str
    embedder: str | None
    fuser: str | None
    people: tuple[PlainPerson, ...]


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What was taken in.

    Args:
        num_people: People who were added.
        num_contributions: Their contributions.
        num_images: Images of them.
        revisions: Of the first and the last change; None if there was none. Each person is one change.
        skipped: Names that were there already and were passed over.
        lost_links: Pairs of names known to be different of which one is not there.
        other_fuser: The fuser of the export, if the gallery's is another: templates differ then. Or None.
    """

    num_people: int
    num_contributions: int
    num_images: int
    revisions: tuple[int, int] | None
    skipped: tuple[str, ...] = ()
    lost_links: tuple[tuple[str, str], ...] = ()
    other_fuser: str | None = None


def export_people(
    gallery: Gallery, path: str | os.PathLike[str], *, force: bool = False
) -> Exported:
    """Writes everybody who is shown, with all that is kept, to a file or folder. It is not encrypted.

    Args:
        gallery: The gallery.
        path: FILE.parquet, FILE.npz, or a name without ending: a folder with a folder for each person.
        force: Whether an export that is there may be replaced.

    Returns:
        What was written, and what was not: people who were removed, contributions that are held or nobody has, the
        history, and other models.

    Raises:
        ConfigError: If the path has another ending.
        OutputExistsError: If it is there already.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    check_export_path(path, force=force)
    stats = gallery.stats(looks_for_damage=False)
    people = tuple(gallery.plain_people())
    model = stats.model
    facts: dict[str, Any] = {
        "collection": gallery.collection,
        "embedder": None if model is None else model.embedder,
        "fuser": None if model is None else model.fuser,
    }
    table = table_of(people, facts)
    write_table(table, path, force=force)
    parts = [part for person in people for part in person.contributions]
    return Exported(
        num_people=len(people),
        num_contributions=len(parts),
        num_images=sum(part.kept.num_images for part in parts),
        num_left_out=sum(len(part.left_out) for part in parts),
        was_encrypted=gallery.is_encrypted,
        not_exported=not_exported(stats, len(parts)),
    )


def not_exported(stats: Stats, num_contributions: int) -> tuple[str, ...]:
    """What a gallery has beside what was exported, in words.

    Args:
        stats: Of the gallery.
        num_contributions: Contributions that were exported.
    """
    missing = []
    if stats.num_hidden:
        missing.append(f"{stats.num_hidden} people who were removed or merged into others")
    others = stats.num_contributions - num_contributions
    if others > 0:
        missing.append(
            f"{others} contributions that are held, taken out or of people who were removed"
        )
    return tuple(missing)


def read_export(path: str | os.PathLike[str]) -> GalleryExport:
    """Reads an export.

    Raises:
        MissingFileError: If it is not there.
        FileFormatError: If it is no export.
        IntegrityError: If it was changed or damaged.
    """
    table = read_table(path)
    people = people_of(table, origin=os.fspath(path))
    facts = table.facts
    named = {key: facts.get(key) for key in ("embedder", "fuser")}
    return GalleryExport(
        collection=str(facts.get("collection", "")),
        embedder=None if named["embedder"] is None else str(named["embedder"]),
        fuser=None if named["fuser"] is None else str(named["fuser"]),
        people=people,
    )


def import_people(
    gallery: Gallery, export: GalleryExport, *, skip_existing: bool = False
) -> Imported:
    """Adds everybody of an export, each as one change that can be undone. Ids are given anew.

    With the same fuser the templates are the same, bit for bit.

    Args:
        gallery: The gallery.
        export: As `read_export` gives it.
        skip_existing: Whether to pass over people whose names are there, as after an interruption; otherwise
            nothing is added if there is one.

    Raises:
        OutputExistsError: If a name is there already.
        ConfigError: If a name cannot be one; if one comes twice.
        EmbedderMismatchError: If the export is of another embedder than the gallery.
        FuserMismatchError: If it holds states of another fuser.
    """
    names = [check_name(person.name) for person in export.people]
    twice = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise OutputExistsError(f"export: expected each name once, got {twice[0]!r} several times.")
    with gallery.store.reading(gallery.collection) as reader:
        model = serving(reader.models())
        there = {person.name for person in reader.people()}
    if model is not None and export.people and model.embedder != export.embedder:
        raise EmbedderMismatchError(
            f"export: the gallery is of {embedder_name(model.embedder)}, the export of "
            f"{embedder_name(export.embedder)}. Import it into another gallery or --collection. "
            f"{remedy_for_pair(model.embedder, export.embedder, '')}".rstrip()
        )
    _check_states(export, None if model is None else model.fuser)
    known = sorted(name for name in names if name in there)
    if known and not skip_existing:
        raise OutputExistsError(
            f"export: {len(known)} of {len(names)} people are in {gallery.collection!r} already, as {known[0]!r}; "
            f"nothing was added. Rename or remove them, import into another --collection, or pass over them "
            f"(--skip-existing)."
        )
    new = [person for person, name in zip(export.people, names, strict=True) if name not in there]
    before = gallery.revision
    gallery.take_people(new)
    now = {*names, *there}
    lost = {
        (min(person.name, other), max(person.name, other))
        for person in new
        for other in person.different_from
        if other not in now
    }
    parts = [part for person in new for part in person.contributions]
    served = gallery.stats(looks_for_damage=False).model
    fuser = None if served is None else served.fuser
    return Imported(
        num_people=len(new),
        num_contributions=len(parts),
        num_images=sum(part.kept.num_images for part in parts),
        revisions=(before + 1, before + len(new)) if new else None,
        skipped=tuple(known),
        lost_links=tuple(sorted(lost)),
        other_fuser=export.fuser if export.fuser not in (None, fuser) else None,
    )


def _check_states(export: GalleryExport, fuser: str | None) -> None:
    """Refuses states of another fuser before anything is added."""
    for person in export.people:
        for part in person.contributions:
            made_by = getattr(part.kept, "fuser", None)
            if made_by is not None and fuser is not None and made_by != fuser:
                raise FuserMismatchError(
                    f"export: the gallery is by {fuser}, and of {person.name!r} there is a state by {made_by}, which "
                    f"cannot be moved to another fuser. Import it into another gallery or --collection."
                )
