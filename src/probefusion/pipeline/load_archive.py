"""An archive of embeddings into a gallery: many people, in bounded memory, and again from where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.archives import Archive
from probefusion.archives.rows.archive import ArchiveRows
from probefusion.errors import FileFormatError
from probefusion.files.reading import in_one_line
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.results import Loaded

__all__ = ["check_readable", "load_archive", "people_of_archive"]

_ROWS_AT_ONCE = 4096
_MOST_WAITING = 200_000
"""Images of people who are not whole yet that are held at a time: 100 MB at 128 dimensions in float32."""


def load_archive(
    gallery: Gallery,
    archive: Archive,
    *,
    skip_existing: bool = False,
    people_at_once: int = 200,
    source: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Enrols everybody of an archive: one person for each id, with one contribution of all their images.

    Memory is bounded, whatever the order of the rows: where many people are open at once the archive is read several
    times. A load that was stopped is repeated with `skip_existing=True`: whoever is there is whole.

    Args:
        gallery: The gallery.
        archive: As `probefusion.archives.open_archive` gives it; its `by` says which column names the people.
        skip_existing: As for `Gallery.load`.
        people_at_once: As for `Gallery.load`.
        source: Where the images are from; None is the name of the archive.
        progress: Called with the number of people read, and in all.

    Raises:
        FileFormatError: If a file of the archive cannot be read; nobody is enrolled then.
        ProbeFusionError: As for `Gallery.load` and for reading the archive.
    """
    check_readable(archive)
    counts = _counts(archive)
    return gallery.load(
        people_of_archive(archive, counts=counts),
        skip_existing=skip_existing,
        people_at_once=people_at_once,
        source=archive.name if source is None else source,
        progress=None if progress is None else lambda done: progress(done, len(counts)),
    )


def check_readable(archive: Archive) -> None:
    """Refuses an archive of which a file cannot be read: people would be enrolled in part.

    Raises:
        FileFormatError: If there is such a file.
    """
    for file in archive.failed_files:
        raise FileFormatError(
            f"{in_one_line(file.name)}: cannot be read, so nobody was loaded: {file.reason} Mend it or take it out of "
            f"the archive."
        )


def people_of_archive(
    archive: Archive, *, counts: dict[Any, int] | None = None, most_waiting: int = _MOST_WAITING
) -> Iterator[tuple[str, EmbeddingSet]]:
    """The people of an archive, each with all images as they stand in it.

    Args:
        archive: The archive.
        counts: For each id the number of its images, if it is known.
        most_waiting: Images that the people who are not whole yet have in all, unless one alone has more. Whoever
            would make them more is left to the next time that the archive is read.

    Yields:
        Id as text, and images; in the order in which people are whole.
    """
    left = _counts(archive) if counts is None else dict(counts)
    while left:
        waiting: dict[Any, _Waiting] = {}
        num_waiting = 0
        later: set[Any] = set()
        for rows in archive.rows(_ROWS_AT_ONCE):
            for name, places in _groups(rows.ids):
                if name not in left or name in later:
                    continue
                if name not in waiting:
                    if waiting and num_waiting + left[name] > most_waiting:
                        later.add(name)
                        continue
                    waiting[name] = _Waiting()
                    num_waiting += left[name]
                person = waiting[name]
                person.take(rows, places)
                if person.num_images == left[name]:
                    del waiting[name], left[name]
                    num_waiting -= person.num_images
                    yield str(name), person.images(archive)


@dataclass(kw_only=True, eq=False)
class _Waiting:
    """Somebody of whom not all rows were read yet."""

    embeddings: list[Any] = field(default_factory=list)
    style: list[Any] = field(default_factory=list)
    quality: list[Any] = field(default_factory=list)
    num_images: int = 0

    def take(self, rows: ArchiveRows, places: Any) -> None:
        self.embeddings.append(rows.embeddings[places])
        if rows.style is not None:
            self.style.append(rows.style[places])
        if rows.quality is not None:
            self.quality.append(rows.quality[places])
        self.num_images += len(places)

    def images(self, archive: Archive) -> EmbeddingSet:
        return EmbeddingSet(
            embeddings=np.concatenate(self.embeddings),
            style=np.concatenate(self.style) if self.style else None,
            quality=np.concatenate(self.quality) if self.quality else None,
            embedder=archive.embedder,
            norms_known=archive.norms_known,
        )


def _counts(archive: Archive) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for ids in archive.ids():
        names, numbers = np.unique(ids, return_counts=True)
        for name, number in zip(names.tolist(), numbers.tolist(), strict=True):
            counts[name] = counts.get(name, 0) + number
    return counts


def _groups(ids: Any) -> Iterator[tuple[Any, Any]]:
    """Ids in the order of their first rows, each with the places of its rows, ascending."""
    order = np.argsort(ids, kind="stable")
    borders = np.flatnonzero(ids[order][1:] != ids[order][:-1]) + 1
    for places in sorted(np.split(order, borders), key=lambda each: int(each[0])):
        yield ids[places[0]].item(), places
