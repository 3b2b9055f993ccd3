"""Training sets: poor images of a person on one side, a clean image that is none of them on the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.protocols.degraded_folder import fold_of
from research.real_faces.variants import NUM_MILD, NUM_SEVERE, Variants

__all__ = ["DEV_FOLD", "PersonSets", "SetBatch"]

DEV_FOLD = 3
"""LFW people of this fold are kept for measuring."""

SET_SIZE = 16
_IMAGES_IN_A_SET = 3
_CLEAN = NUM_MILD + NUM_SEVERE
_BAD_SHARE = 0.85
_CLEAN_GALLERY = 0.7


@dataclass(frozen=True, kw_only=True, eq=False)
class SetBatch:
    """Rows (image, variant) of one step.

    Args:
        probes: (B, 16, 2) int64.
        gallery: (B, 2) int64, one image of each person that is not among the probes, where there is one.
        clean: B lists of image rows of that person.
    """

    probes: npt.NDArray[np.int64]
    gallery: npt.NDArray[np.int64]
    clean: list[npt.NDArray[np.int64]]


class PersonSets:
    """Draws people and sets.

    Half of the sets hold 85 % badly degraded images, the others a share drawn uniformly.

    Args:
        variants: The images.
        rng: Source of randomness.
    """

    def __init__(self, variants: Variants, rng: np.random.Generator) -> None:
        self._rng = rng
        people: dict[str, list[int]] = {}
        for row, name in enumerate(variants.people):
            source, person = name.split("/")
            if source != "lfw" or fold_of(person) != DEV_FOLD:
                people.setdefault(name, []).append(row)
        self._people = [np.array(rows, dtype=np.int64) for rows in people.values()]

    @property
    def num_people(self) -> int:
        """People that are drawn from."""
        return len(self._people)

    def draw(self, size: int) -> SetBatch:
        """A batch of `size` different people."""
        rng = self._rng
        probes, gallery, clean = [], [], []
        for index in rng.choice(self.num_people, size, replace=False):
            rows = self._people[index]
            order = rng.permutation(len(rows))
            first, rest = rows[order[0]], rows[order[1 : 1 + _IMAGES_IN_A_SET]]
            probes.append(self._set_of(rest if len(rest) else rows[order[:1]]))
            is_clean = rng.random() < _CLEAN_GALLERY
            gallery.append((first, _CLEAN if is_clean else rng.choice(np.arange(NUM_MILD))))
            clean.append(rows)
        return SetBatch(probes=np.stack(probes), gallery=np.array(gallery), clean=clean)

    def _set_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rng = self._rng
        share = _BAD_SHARE if rng.random() < 0.5 else rng.random()
        images = rows[rng.integers(len(rows), size=SET_SIZE)]
        is_bad = rng.random(SET_SIZE) < share
        severe = NUM_MILD + rng.integers(NUM_SEVERE, size=SET_SIZE)
        variants = np.where(is_bad, severe, rng.integers(NUM_MILD, size=SET_SIZE))
        return np.stack([images, variants], axis=1)
