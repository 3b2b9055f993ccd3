"""The open protocol `degraded-folder/v1`: any folder-per-person set of aligned faces, degraded.

This text is the definition; two people who implement it get the same people, images and severities.

- Names are Unicode; wherever one is hashed it is the UTF-8 of its NFC form. Names are sorted by the
  code points of their NFC form.
- A person's fold is int(sha256(name).hexdigest(), 16) % 4. A protocol takes the people of some folds.
- Gallery: the first image by name of each of these people, clean. People with three or more images
  are probe people. All others, with one image or two, are distractors: in the gallery but never
  searched for; the second image of two is not used.
- Probe set k of a person: images at positions 0, 1, ..., drawn with replacement from the person's K
  images but the first, in the order of their names. The set of N images is the first N positions of
  the same infinite sequence (sets are nested), so that sizes are compared on common images.
- Everything random about one position comes from the SHA-256 of the text
  `degraded-folder/v1|<seed>|<mix>|<set index>|<position>|<person>` (numbers in decimal), read as
  four big-endian 64-bit numbers w0..w3: the image is number w0 % K; with t1 and t2 the numbers
  floor(w1 / 2^11) / 2^53 and floor(w2 / 2^11) / 2^53, both in [0, 1), the severity is::

      hard    1 - 0.4 t2 (so in (0.6, 1]) if t1 < 0.85, else 0.6 t2
      mixed   t2
      clean   0

  and w3 seeds NumPy's `Generator(PCG64(w3))`, which `probefusion.degradations.degrade` draws from. Nothing
  depends on the other people, the other sizes or the number of sets.
- Namesakes are one person. Names are compared in NFC, case-folded, with `_` read as a space. Two
  people of one name are refused; `exclude` takes the namesakes of other data out of the distractors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from probefusion.degradations.degrade import degradation_definition, degrade
from probefusion.errors import ConfigError, EmptySetError, InvalidInputError, UnknownNameError
from probefusion.protocols.draw_settings import checked_folds, checked_number, checked_sizes
from probefusion.protocols.people import (
    People,
    composed,
    namesake_key,
    read_people,
    refuse_namesakes,
)

__all__ = [
    "MIN_PROBE_PERSON_IMAGES",
    "NUM_FOLDS",
    "PROTOCOL_VERSION",
    "DegradedFolderProtocol",
    "GalleryEntry",
    "Mix",
    "People",
    "ProbeImage",
    "ProbeSet",
    "fold_of",
    "read_people",
    "render",
]

PROTOCOL_VERSION = "degraded-folder/v1"
"""Name of the protocol that this module defines."""

NUM_FOLDS = 4
"""Folds that people are split into, numbered from 0."""

MIN_PROBE_PERSON_IMAGES = 3
"""A person with fewer images than this is a distractor."""

Mix = Literal["hard", "mixed", "clean"]
"""How many probe images are bad."""

_BAD_SHARE = 0.85
_BAD_ABOVE = 0.6


def fold_of(name: str) -> int:
    """The fold of a person, 0 to 3, from the name alone.

    Example:
        >>> [fold_of(name) for name in ("Aaron_Peirsol", "Zach_Safrin", "AJ_Cook")]
        [2, 2, 0]
    """
    return int(hashlib.sha256(composed(name).encode()).hexdigest(), 16) % NUM_FOLDS


@dataclass(frozen=True, kw_only=True)
class ProbeImage:
    """One degraded image of a probe set.

    Args:
        source: Name of the clean image.
        severity: How badly it is degraded, in [0, 1].
        seed: Seed of its degradation, below 2^64.
    """

    source: str
    severity: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class ProbeSet:
    """The images of one search or comparison.

    Args:
        subject_id: The person on all of them.
        set_index: Which of the person's sets, from 0.
        images: The N images, in order; one may occur more than once, degraded differently.
    """

    subject_id: str
    set_index: int
    images: tuple[ProbeImage, ...]


@dataclass(frozen=True, kw_only=True)
class GalleryEntry:
    """One enrolled person.

    Args:
        subject_id: The person.
        source: Name of the image, used as it is.
        is_distractor: Whether there are no probe sets of this person.
    """

    subject_id: str
    source: str
    is_distractor: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class DegradedFolderProtocol:
    """Gallery and probe sets over the people of some folds; see the module for the definition.

    Args:
        people: All people; those of other folds are not used.
        folds: Folds to test on, of 0..3.
        mix: How many probe images are bad: "hard", "mixed" or "clean".
        set_sizes: Values of N to report, ascending.
        num_sets: Probe sets per person.
        seed: Of everything random.
        exclude: Names that must not stand among the distractors (people of other data sets).
            Probe people stay.

    Attributes:
        gallery: One entry per person, sorted by name.
        probe_subjects: The probe people, sorted by name.
        excluded: Distractors that were left out because of `exclude`.

    Raises:
        ConfigError: If a fold does not exist or is given twice, sizes do not ascend from 1 or more,
            or `num_sets` or `seed` are out of range.
        UnknownNameError: If there is no such mix.
        EmptySetError: If there is no probe person in these folds.
        InvalidInputError: If two people of these folds are namesakes.
    """

    people: People
    folds: tuple[int, ...]
    mix: Mix = "hard"
    set_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    num_sets: int = 4
    seed: int = 0
    exclude: Sequence[str] = ()
    gallery: tuple[GalleryEntry, ...] = field(init=False, repr=False)
    probe_subjects: tuple[str, ...] = field(init=False, repr=False)
    excluded: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check_settings()
        used = {
            subject: names
            for subject, names in self.people.images.items()
            if fold_of(subject) in self.folds
        }
        refuse_namesakes(used)
        banned = {namesake_key(name) for name in self.exclude}
        gallery, excluded = [], []
        for subject, names in used.items():
            is_distractor = len(names) < MIN_PROBE_PERSON_IMAGES
            if is_distractor and namesake_key(subject) in banned:
                excluded.append(subject)
                continue
            gallery.append(
                GalleryEntry(subject_id=subject, source=names[0], is_distractor=is_distractor)
            )
        probes = tuple(entry.subject_id for entry in gallery if not entry.is_distractor)
        if not probes:
            raise EmptySetError(
                f"people: expected somebody with {MIN_PROBE_PERSON_IMAGES} or more images in the "
                f"folds {self.folds}, got {len(gallery)} people with fewer. Give more images."
            )
        object.__setattr__(self, "gallery", tuple(gallery))
        object.__setattr__(self, "probe_subjects", probes)
        object.__setattr__(self, "excluded", tuple(excluded))

    def _check_settings(self) -> None:
        if isinstance(self.exclude, str):
            raise ConfigError(f"exclude: expected a list of names, got the text {self.exclude!r}.")
        folds = checked_folds(self.folds, NUM_FOLDS)
        if self.mix not in get_args(Mix):
            raise UnknownNameError("mix", self.mix, get_args(Mix))
        object.__setattr__(self, "folds", folds)
        object.__setattr__(self, "set_sizes", checked_sizes(self.set_sizes))
        object.__setattr__(self, "num_sets", checked_number(self.num_sets, "num_sets", minimum=1))
        object.__setattr__(self, "seed", checked_number(self.seed, "seed", minimum=0))
        object.__setattr__(self, "exclude", tuple(self.exclude))

    def probe_set(self, subject_id: str, set_index: int, num_images: int) -> ProbeSet:
        """One probe set; a smaller one is the beginning of a larger one.

        Args:
            subject_id: One of `probe_subjects`.
            set_index: From 0 to `num_sets` - 1.
            num_images: N, at least 1 and at most the largest of `set_sizes`.

        Raises:
            InvalidInputError: If the person is no probe person.
            ConfigError: If an index or number is out of range.
        """
        if subject_id not in self._probe_images:
            raise InvalidInputError(
                f"subject_id: expected one of the {len(self.probe_subjects)} probe people, got "
                f"{subject_id!r}. See probe_subjects."
            )
        if not 0 <= set_index < self.num_sets:
            raise ConfigError(f"set_index: expected 0 to {self.num_sets - 1}, got {set_index}.")
        if not 1 <= num_images <= self.set_sizes[-1]:
            raise ConfigError(
                f"num_images: expected 1 to {self.set_sizes[-1]}, got {num_images}. "
                f"Larger sets need a larger number in set_sizes."
            )
        images = self._probe_images[subject_id]
        return ProbeSet(
            subject_id=subject_id,
            set_index=set_index,
            images=tuple(
                self._draw(images, f"{set_index}|{position}|{subject_id}")
                for position in range(num_images)
            ),
        )

    def probe_sets(self, num_images: int) -> Iterator[ProbeSet]:
        """All probe sets of N images: person by person, in the order of `probe_subjects`.

        Raises:
            ConfigError: If `num_images` is out of range.
        """
        for subject in self.probe_subjects:
            for set_index in range(self.num_sets):
                yield self.probe_set(subject, set_index, num_images)

    def _draw(self, images: tuple[str, ...], place: str) -> ProbeImage:
        text = composed(f"{PROTOCOL_VERSION}|{self.seed}|{self.mix}|{place}")
        digest = hashlib.sha256(text.encode()).digest()
        words = [int.from_bytes(digest[start : start + 8], "big") for start in range(0, 32, 8)]
        first, second = ((word >> 11) / 2**53 for word in words[1:3])
        if self.mix == "clean":
            severity = 0.0
        elif self.mix == "mixed":
            severity = second
        elif first < _BAD_SHARE:
            severity = 1 - (1 - _BAD_ABOVE) * second
        else:
            severity = _BAD_ABOVE * second
        return ProbeImage(source=images[words[0] % len(images)], severity=severity, seed=words[3])

    @cached_property
    def _probe_images(self) -> dict[str, tuple[str, ...]]:
        return {subject: self.people.images[subject][1:] for subject in self.probe_subjects}

    def definition(self) -> dict[str, object]:
        """Version and all numbers of the protocol as JSON can hold them, for reports."""
        return {
            "version": PROTOCOL_VERSION,
            "num_folds": NUM_FOLDS,
            "folds": list(self.folds),
            "min_probe_person_images": MIN_PROBE_PERSON_IMAGES,
            "mix": self.mix,
            "bad_share": {"hard": _BAD_SHARE}.get(self.mix),
            "bad_above": {"hard": _BAD_ABOVE}.get(self.mix),
            "set_sizes": list(self.set_sizes),
            "num_sets": self.num_sets,
            "sets_are_nested": True,
            "seed": self.seed,
            "degradation": degradation_definition(),
        }

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (64 hexadecimal digits) of the definition and the names of all images used.

        Equal hashes mean the same people, images and draws; the pixels are not looked at.
        """
        content = {
            "definition": self.definition(),
            "gallery": [[e.subject_id, e.source, e.is_distractor] for e in self.gallery],
            "probes": [[subject, *images] for subject, images in self._probe_images.items()],
        }
        text = composed(json.dumps(content, sort_keys=True, ensure_ascii=False))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def render(
    probe_image: ProbeImage, read_image: Callable[[str], npt.NDArray[np.uint8]]
) -> npt.NDArray[np.uint8]:
    """The degraded crop of a probe image; always the same for the same pixels.

    Args:
        probe_image: From `DegradedFolderProtocol.probe_set`.
        read_image: Gives an aligned crop by name, (112, 112, 3) uint8 RGB.

    Returns:
        (112, 112, 3) uint8 RGB.

    Raises:
        ShapeError: If the crop has another size.
        MissingExtraError: If OpenCV is not installed.
    """
    rng = np.random.Generator(np.random.PCG64(probe_image.seed))
    return degrade(read_image(probe_image.source), probe_image.severity, rng)
