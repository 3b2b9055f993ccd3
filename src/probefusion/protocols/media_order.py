"""Who has which images and media, in the order of `probefusion.protocols.media_folder`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_length
from probefusion.errors import EmptySetError, InvalidInputError
from probefusion.protocols.people import check_unicode, composed

__all__ = ["PersonMedia", "checked_widths", "people_in_order"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonMedia:
    """One person's images: rows in order, and their media in order with the rows of each."""

    name: str
    rows: Rows
    media: tuple[str, ...]
    medium_of: Rows
    widths: npt.NDArray[np.float64]

    def medium(self, replicate: int) -> str:
        """The gallery's medium."""
        return self.media[replicate % len(self.media)]

    def gallery(self, replicate: int) -> int:
        """The gallery's row."""
        turn, place = divmod(replicate, len(self.media))
        mine = np.flatnonzero(self.medium_of == place)
        widths = self.widths[mine]
        if np.isnan(widths).all():
            return int(self.rows[mine[turn % len(mine)]])
        return int(self.rows[mine[np.nanargmax(widths)]])

    def others(self, place: int, inside: npt.NDArray[np.bool_]) -> Rows:
        """Rows of the class in all media but the one at this position, in order."""
        rows: Rows = self.rows[(self.medium_of != place) & inside[self.rows]]
        return rows

    def smallest(self, inside: npt.NDArray[np.bool_]) -> int:
        """How many images of the class are there whichever medium is the gallery's."""
        if len(self.media) < 2:
            return 0
        counts = np.bincount(self.medium_of[inside[self.rows]], minlength=len(self.media))
        return int(counts.sum() - counts.max())


def people_in_order(
    sources: Sequence[str] | npt.NDArray[np.str_],
    subjects: Sequence[str] | npt.NDArray[np.str_],
    media: Sequence[str] | npt.NDArray[np.str_],
    widths: npt.NDArray[np.float64],
) -> list[PersonMedia]:
    """The people by name, with their images and media in the protocol's order.

    Args:
        sources: (n,) names of the images.
        subjects: (n,) person on each.
        media: (n,) medium of each.
        widths: (n,) width of each face in pixels, NaN where unknown.

    Raises:
        EmptySetError: If there are no images.
        ShapeError: If the arrays differ in length.
        InvalidInputError: If an image is named twice, or a name is empty or cannot be hashed.
    """
    if not len(sources):
        raise EmptySetError("sources: expected at least one image, got none.")
    check_length(subjects, len(sources), name="subjects")
    check_length(media, len(sources), name="media")
    names = [composed(str(name)) for name in sources]
    for name in names:
        check_unicode(name, what="image names")
    if len(set(names)) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise InvalidInputError(f"sources: expected each image once, got {twice!r} more than once.")
    for what, values in (("subjects", subjects), ("media", media)):
        row = next((row for row, value in enumerate(values) if not str(value)), None)
        if row is not None:
            raise InvalidInputError(f"{what} {row}: expected a name, got none for {names[row]!r}.")
    order = sorted(range(len(names)), key=[_digest(name) for name in names].__getitem__)
    mine: dict[str, list[int]] = {}
    for row in order:
        mine.setdefault(composed(str(subjects[row])), []).append(row)
    return [_person(name, mine[name], media, widths) for name in sorted(mine)]


def checked_widths(
    face_px: Sequence[float] | npt.NDArray[np.floating] | None, length: int
) -> npt.NDArray[np.float64]:
    """(n,) float64 widths, NaN where unknown; all unknown for None.

    Raises:
        ShapeError: If there is not one per image.
        InvalidInputError: If one is not above 0 and finite.
    """
    if face_px is None:
        return np.full(length, np.nan)
    check_length(face_px, length, name="face_px")
    widths = np.asarray(face_px, dtype=np.float64)
    wrong = ~(np.isnan(widths) | ((widths > 0) & np.isfinite(widths)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"face_px {row}: expected a width in pixels above 0, or NaN if it is not known, got "
            f"{widths[row]:g}."
        )
    return widths


def _person(
    name: str,
    rows: Sequence[int],
    media: Sequence[str] | npt.NDArray[np.str_],
    widths: npt.NDArray[np.float64],
) -> PersonMedia:
    labels = [composed(str(media[row])) for row in rows]
    for label in (name, *labels):
        check_unicode(label, what="names of people and media")
    ordered = sorted(set(labels), key=lambda label: _digest(f"{name}/{label}"))
    place = {label: position for position, label in enumerate(ordered)}
    return PersonMedia(
        name=name,
        rows=np.array(rows, dtype=np.int64),
        media=tuple(ordered),
        medium_of=np.array([place[label] for label in labels], dtype=np.int64),
        widths=widths[np.array(rows, dtype=np.int64)],
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
