"""The protocol of `probefusion.protocols.media_folder` on the images of one folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, EmptySetError, UnknownNameError
from probefusion.protocols.degraded_folder import NUM_FOLDS, fold_of
from probefusion.protocols.draw_settings import checked_folds, checked_number, checked_sizes
from probefusion.protocols.media_folder import (
    NUM_REPLICATES,
    PROTOCOL_VERSION,
    SET_SIZES,
    MediaSplit,
    split_media,
)
from probefusion.protocols.media_images import MediaImages, group_finder
from probefusion.protocols.people import composed, namesake_key, refuse_namesakes
from probefusion.protocols.size_classes import SizeClass, with_all_sizes

__all__ = ["MediaFolderProtocol"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaFolderProtocol:
    """Gallery and probe sets over the people of some folds; see `media_folder` for the definition.

    Args:
        images: All images; those of people of other folds are not used.
        folds: Folds to test on, of 0..3.
        size_classes: Classes by the width of the face beside `all`, which is always the first.
        set_sizes: Values of N to report, ascending.
        num_sets: R, replicates.
        seed: Of the draws.
        leave_out: People who are not used at all, by name.
        relatives: Regular expression with a group `family`, searched in people's names: those of one
            family are never each other's non-mates. None: nobody is related.

    Attributes:
        sources: Names of the images of the people used, sorted; the rows of `split` point here.
        split: Gallery and probe sets.
        families: (P,) int64, a number for each person of `split.subjects`, equal in a family.
        num_of_no_family: People in whose names `relatives` finds nothing.

    Raises:
        ConfigError: If a setting is out of range, or `relatives` is no such expression or finds nothing.
        UnknownNameError: If somebody to be left out is not there.
        EmptySetError: If nobody of these folds has images of two media, or all are of one family.
        InvalidInputError: If two people of these folds are namesakes.
    """

    images: MediaImages
    folds: tuple[int, ...] = (0, 1, 2, 3)
    size_classes: tuple[SizeClass, ...] = ()
    set_sizes: tuple[int, ...] = SET_SIZES
    num_sets: int = NUM_REPLICATES
    seed: int = 0
    leave_out: Sequence[str] = ()
    relatives: str | None = None
    sources: tuple[str, ...] = field(init=False, repr=False)
    split: MediaSplit = field(init=False, repr=False)
    families: npt.NDArray[np.int64] = field(init=False, repr=False)
    num_of_no_family: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.leave_out, str):
            raise ConfigError(
                f"leave_out: expected a list of names, got the text {self.leave_out!r}."
            )
        object.__setattr__(self, "folds", checked_folds(self.folds, NUM_FOLDS))
        object.__setattr__(self, "size_classes", with_all_sizes(self.size_classes))
        object.__setattr__(self, "set_sizes", checked_sizes(self.set_sizes))
        object.__setattr__(self, "num_sets", checked_number(self.num_sets, "num_sets", minimum=1))
        object.__setattr__(self, "seed", checked_number(self.seed, "seed", minimum=0))
        object.__setattr__(self, "leave_out", tuple(sorted(self.leave_out)))
        used = self._people_used()
        sources = sorted((name for names in used.values() for name in names), key=composed)
        owners = {name: person for person, names in used.items() for name in names}
        split = split_media(
            sources,
            [owners[name] for name in sources],
            [self.images.media[name] for name in sources],
            self.images.widths(sources),
            size_classes=self.size_classes,
            set_sizes=self.set_sizes,
            num_replicates=self.num_sets,
            seed=self.seed,
        )
        object.__setattr__(self, "sources", tuple(sources))
        object.__setattr__(self, "split", split)
        self._find_families(split.subjects.tolist())
        self._check_measurable()

    def _people_used(self) -> dict[str, tuple[str, ...]]:
        everybody = self.images.people.images
        keys = {namesake_key(name): name for name in everybody}
        for name in self.leave_out:
            if namesake_key(name) not in keys:
                raise UnknownNameError("person to leave out", name, everybody)
        gone = {namesake_key(name) for name in self.leave_out}
        used = {
            name: images
            for name, images in everybody.items()
            if fold_of(name) in self.folds and namesake_key(name) not in gone
        }
        if not used:
            raise EmptySetError(
                f"people: expected somebody in the folds {self.folds}, got none of {len(everybody)}. "
                f"Take all folds (--folds 0,1,2,3), or leave nobody out."
            )
        refuse_namesakes(used)
        return used

    def _find_families(self, subjects: Sequence[str]) -> None:
        families = [""] * len(subjects)
        if self.relatives is not None:
            family_of = group_finder(self.relatives, "family", "relatives")
            families = [family_of(name) for name in subjects]
            if not any(families):
                raise ConfigError(
                    f"relatives: expected {self.relatives!r} to find a family in names of people, got none in "
                    f"{len(subjects)}, the first {subjects[0]!r}."
                )
        keys = [
            f"family {family}" if family else f"person {subject}"
            for family, subject in zip(families, subjects, strict=True)
        ]
        numbers = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        object.__setattr__(self, "families", numbers)
        lonely = 0 if self.relatives is None else sum(not family for family in families)
        object.__setattr__(self, "num_of_no_family", lonely)

    def _check_measurable(self) -> None:
        people = len(self.split.subjects)
        searched = int((self.split.num_media > 1).sum())
        if not searched:
            raise EmptySetError(
                f"people: expected somebody with images of two media in the folds {self.folds}, got "
                f"{people} people with one medium each. The gallery's image is of another medium than the probe's."
            )
        if len(np.unique(self.families)) < 2:
            raise EmptySetError(
                f"people: expected two people or more (of two families or more), got {people} in the folds "
                f"{self.folds}: nobody to be mistaken for. Take all folds (--folds 0,1,2,3), or give more people."
            )

    @property
    def face_px(self) -> npt.NDArray[np.float64]:
        """(n,) width of the face in each image of `sources`, NaN where it is not known."""
        return self.images.widths(self.sources)

    def definition(self) -> dict[str, object]:
        """Version and all settings of the protocol as JSON can hold them, for reports."""
        return {
            "version": PROTOCOL_VERSION,
            "num_folds": NUM_FOLDS,
            "folds": list(self.folds),
            "size_classes": [entry.text for entry in self.size_classes],
            "set_sizes": list(self.set_sizes),
            "num_sets": self.num_sets,
            "sets_are_nested": False,
            "seed": self.seed,
            "leave_out": list(self.leave_out),
            "relatives": self.relatives,
        }

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many people, media and images there are, and of how many the width is not known."""
        media = self.split.num_media
        return {
            "num_people": len(media),
            "num_distractors": int((media == 1).sum()),
            "num_media": int(media.sum()),
            "num_images": len(self.sources),
            "num_images_of_unknown_width": int(np.isnan(self.face_px).sum()),
            "num_families": len(np.unique(self.families)),
            "num_people_of_no_family": self.num_of_no_family,
        }

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (64 hexadecimal digits) of the definition and of names, media and widths of all images.

        Equal hashes mean the same gallery and probe sets; the pixels are not looked at.
        """
        widths = self.face_px.tolist()
        content = {
            "definition": self.definition(),
            "images": [
                [name, self.images.media[name], None if width != width else width]
                for name, width in zip(self.sources, widths, strict=True)
            ],
            "families": self.families.tolist(),
        }
        text = composed(json.dumps(content, sort_keys=True, ensure_ascii=False))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
