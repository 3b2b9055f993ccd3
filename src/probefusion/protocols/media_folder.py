"""The open protocol `media-folder/v1`: real images of people, each from one film, camera or day.

This text is the definition; two people who implement it get the same gallery and probe sets.

- Input: images, each of one person and one medium (one film, video, camera or day), and for each the
  width of the face in the original in pixels, or that it is not known. Names are Unicode; wherever
  one is hashed it is the UTF-8 of its NFC form. An image's name is its path below the data folder,
  `PERSON/MEDIUM/IMAGE` or `PERSON/IMAGE`, with `/` between the parts.
- A person's fold is int(sha256(person).hexdigest(), 16) % 4. A protocol takes the people of some
  folds (all four by default: no weights that it tests were trained on them).
- Order: people by the code points of their names; a person's images by sha256(name) and media by
  sha256("PERSON/MEDIUM"), both compared as hexadecimal digits. The order of listing is not used.
- There are R replicates (16 by default), r = 0 .. R - 1. K is the number of a person's media, counted
  over all images and not over those of a size class.
- Gallery of replicate r: one image per person, from the medium at position r % K. It is the image with
  the largest known face there, of equally large ones the first in order; if no face of that medium has a
  known width, the image at position (r // K) % n of its n images.
- A person with one medium is a distractor: in the gallery, never searched for.
- Size classes: `all`, always reported, holds every image. `A..B` holds the images with
  A <= width < B, `..B` those with width < B, `A..` those with A <= width; an image of unknown width is
  in `all` alone. A bound is written as a whole number if it is one, else as Python's repr of it.
- Probe set of N images (1, 2, 4, 8, 16, 32 by default) in replicate r: of the person's n images of the
  size class in all media but the gallery's of that replicate, in order, those at the positions
  `numpy.random.default_rng(s).permutation(n)[:N]` (NumPy >= 1.17). s is the first 8 bytes, big-endian, of the
  SHA-256 of `media-folder/v1|<seed>|<size class>|<N>|<r>|<person>` (numbers in decimal). Images are
  drawn without replacement; sets of different N are drawn apart.
- A person is a probe person at N in a class if N such images are there whichever of the K media is the
  gallery's, so that the people are the same in all replicates. The others with two media or more are no
  probes at that N in that class, and are counted.
- Probe set "medium" in replicate r, what one recording gives: all images of the class, in order, of
  the medium at position r % (K - 1) among the person's media without the gallery's. A medium without
  any gives no probe set in that replicate; that is counted too.
- Non-mates of a probe set are the gallery entries of the same replicate of all other people; where
  families are known, of all people of other families.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.protocols.draw_settings import checked_number, checked_sizes
from probefusion.protocols.media_order import PersonMedia, Rows, checked_widths, people_in_order
from probefusion.protocols.people import composed
from probefusion.protocols.size_classes import ALL_SIZES, SizeClass, with_all_sizes

__all__ = [
    "ALL_SIZES",
    "NUM_REPLICATES",
    "PROTOCOL_VERSION",
    "SET_SIZES",
    "MediaSplit",
    "MediumProbes",
    "ProbeDraws",
    "SizeClass",
    "split_media",
]

PROTOCOL_VERSION = "media-folder/v1"
"""Name of the protocol that this module defines."""

NUM_REPLICATES = 16
"""R, replicates by default."""

SET_SIZES = (1, 2, 4, 8, 16, 32)
"""N, images in a probe set by default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeDraws:
    """The probe sets of N images in one size class.

    Args:
        size_class: The class.
        num_images: N.
        people: (P_n,) int64, ascending: each probe person's position in `MediaSplit.subjects`.
        rows: (R, P_n, N) int64, the images of each set, in the order drawn.
        num_too_few: People with two media or more who are no probe people here.
    """

    size_class: SizeClass
    num_images: int
    people: Rows
    rows: Rows
    num_too_few: int


@dataclass(frozen=True, kw_only=True, eq=False)
class MediumProbes:
    """The probe sets of a whole medium in one size class, S in all replicates together.

    Args:
        size_class: The class.
        replicates: (S,) int64, ascending.
        people: (S,) int64, position in `MediaSplit.subjects`, ascending within a replicate.
        rows: (T,) int64, the images of all sets, one set after the other.
        offsets: (S + 1,) int64; set s holds `rows[offsets[s]:offsets[s + 1]]`, one image at least.
        num_empty: Sets that are not there because the medium has no image of the class.
    """

    size_class: SizeClass
    replicates: Rows
    people: Rows
    rows: Rows
    offsets: Rows
    num_empty: int

    @property
    def num_images(self) -> Rows:
        """(S,) int64, images in each set."""
        return np.diff(self.offsets)


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaSplit:
    """Gallery and probe sets as rows of the images given.

    Args:
        subjects: (P,) texts, the people in order.
        num_media: (P,) int64, K of each person; those with 1 are distractors.
        gallery: (R, P) int64, the gallery image of each person in each replicate.
        gallery_media: (R, P) texts, the medium it comes from.
        draws: The probe sets, class by class and N by N.
        medium_probes: The probe sets of whole media, class by class.
    """

    subjects: npt.NDArray[np.str_]
    num_media: Rows
    gallery: Rows
    gallery_media: npt.NDArray[np.str_]
    draws: tuple[ProbeDraws, ...]
    medium_probes: tuple[MediumProbes, ...]

    @property
    def num_replicates(self) -> int:
        """R."""
        return len(self.gallery)


def split_media(
    sources: Sequence[str] | npt.NDArray[np.str_],
    subjects: Sequence[str] | npt.NDArray[np.str_],
    media: Sequence[str] | npt.NDArray[np.str_],
    face_px: Sequence[float] | npt.NDArray[np.floating] | None = None,
    *,
    size_classes: Sequence[SizeClass] = (),
    set_sizes: Sequence[int] = SET_SIZES,
    num_replicates: int = NUM_REPLICATES,
    seed: int = 0,
) -> MediaSplit:
    """Gallery and probe sets of the protocol; see the module for the definition.

    Args:
        sources: (n,) names of the images, as `PERSON/MEDIUM/IMAGE` or `PERSON/IMAGE`.
        subjects: (n,) person on each.
        media: (n,) medium of each; two people's media of one name are two media.
        face_px: (n,) width of each face in the original in pixels, NaN where it is not known; None if
            none is.
        size_classes: Classes beside `all`, which is always the first.
        set_sizes: Values of N, ascending.
        num_replicates: R.
        seed: Of the draws.

    Returns:
        Rows of the arrays given; in which order these list the images does not matter.

    Raises:
        EmptySetError: If there are no images.
        ShapeError: If the arrays differ in length.
        InvalidInputError: If an image is named twice, or a width is not above 0 and finite.
        ConfigError: If a class comes twice, sizes do not ascend from 1, or a number is out of range.

    Example:
        >>> names = ["ann/day1/a.jpg", "ann/day2/b.jpg", "ann/day2/c.jpg", "bob/day1/d.jpg"]
        >>> split = split_media(
        ...     names, ["ann", "ann", "ann", "bob"], ["day1", "day2", "day2", "day1"],
        ...     set_sizes=(1, 2), num_replicates=2,
        ... )
        >>> split.subjects.tolist(), split.num_media.tolist(), split.gallery[:, 1].tolist()
        (['ann', 'bob'], [2, 1], [3, 3])
        >>> [(draw.num_images, draw.people.tolist(), draw.num_too_few) for draw in split.draws]
        [(1, [0], 0), (2, [], 1)]
    """
    classes = with_all_sizes(size_classes)
    sizes = checked_sizes(set_sizes)
    num_replicates = checked_number(num_replicates, "num_replicates", minimum=1)
    seed = checked_number(seed, "seed", minimum=0)
    widths = checked_widths(face_px, len(sources))
    people = people_in_order(sources, subjects, media, widths)
    gallery = [[person.gallery(r) for person in people] for r in range(num_replicates)]
    labels = [[person.medium(r) for person in people] for r in range(num_replicates)]
    return MediaSplit(
        subjects=np.array([person.name for person in people]),
        num_media=np.array([len(person.media) for person in people], dtype=np.int64),
        gallery=np.array(gallery, dtype=np.int64),
        gallery_media=np.array(labels),
        draws=tuple(
            _draws(people, size_class.holds(widths), size_class, size, num_replicates, seed)
            for size_class in classes
            for size in sizes
        ),
        medium_probes=tuple(
            _medium_probes(people, size_class.holds(widths), size_class, num_replicates)
            for size_class in classes
        ),
    )


def _draws(
    people: Sequence[PersonMedia],
    inside: npt.NDArray[np.bool_],
    size_class: SizeClass,
    size: int,
    num_replicates: int,
    seed: int,
) -> ProbeDraws:
    searched = [place for place, person in enumerate(people) if len(person.media) > 1]
    chosen = [place for place in searched if people[place].smallest(inside) >= size]
    rows = np.empty((num_replicates, len(chosen), size), dtype=np.int64)
    for column, place in enumerate(chosen):
        person = people[place]
        others = [person.others(medium, inside) for medium in range(len(person.media))]
        for replicate in range(num_replicates):
            pool = others[replicate % len(others)]
            text = f"{PROTOCOL_VERSION}|{seed}|{size_class.text}|{size}|{replicate}|{person.name}"
            digest = hashlib.sha256(composed(text).encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            rows[replicate, column] = pool[rng.permutation(len(pool))[:size]]
    return ProbeDraws(
        size_class=size_class,
        num_images=size,
        people=np.array(chosen, dtype=np.int64),
        rows=rows,
        num_too_few=len(searched) - len(chosen),
    )


def _medium_probes(
    people: Sequence[PersonMedia],
    inside: npt.NDArray[np.bool_],
    size_class: SizeClass,
    num_replicates: int,
) -> MediumProbes:
    sets: list[tuple[int, int, Rows]] = []
    num_empty = 0
    for replicate in range(num_replicates):
        for place, person in enumerate(people):
            count = len(person.media)
            if count < 2:
                continue
            left = [medium for medium in range(count) if medium != replicate % count]
            medium = left[replicate % (count - 1)]
            rows = person.rows[(person.medium_of == medium) & inside[person.rows]]
            if len(rows):
                sets.append((replicate, place, rows))
            num_empty += not len(rows)
    none = [np.zeros(0, dtype=np.int64)]
    return MediumProbes(
        size_class=size_class,
        replicates=np.array([replicate for replicate, _, _ in sets], dtype=np.int64),
        people=np.array([place for _, place, _ in sets], dtype=np.int64),
        rows=np.concatenate([rows for _, _, rows in sets] or none),
        offsets=np.cumsum([0, *(len(rows) for _, _, rows in sets)], dtype=np.int64),
        num_empty=num_empty,
    )
