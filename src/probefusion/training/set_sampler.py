"""Which images and variants make up a training step: the official set sampler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.training.variant_store import VariantStore

__all__ = ["SetBatch", "SetSampler"]

MAX_IMAGES = 3
"""A group mixes variants of one, two or three images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SetBatch:
    """Positions in a variant store for one step.

    Args:
        subjects: (B,) int64, index of the person of each sample.
        images: (B, 2K) int64, image of each place; places 0..K-1 are group 1, the rest group 2.
        variants: (B, 2K) int64, variant of that image.
    """

    subjects: npt.NDArray[np.int64]
    images: npt.NDArray[np.int64]
    variants: npt.NDArray[np.int64]


class SetSampler:
    """Draws samples of two groups of K embeddings of one person.

    A group draws 1, 2 or 3 of the person's images with replacement, splits its K places among them
    at random points, and fills each image's places with random variants of it, with replacement.
    Each epoch visits every person once, in random order; the last incomplete batch is completed
    from the next epoch. Step t gives the same batch however often training was interrupted.

    With `bad_share` the places of a group are shuffled, so that its images stand mixed, and the
    variants follow the set's quality: in half of the groups each place is one of the badly degraded
    variants with that probability, in the other half with one drawn uniformly for the group.

    Args:
        store: The variant store.
        batch_size: B, people in a step.
        group_size: K, embeddings in a group; 16 officially.
        bad_share: Share of badly degraded variants; None draws all variants alike, officially.
        num_severe: How many of the store's variants, the last ones, are badly degraded.
        seed: Seed of the draws.

    Raises:
        ConfigError: If a size is below 1, or there are fewer people than a batch holds.

    Source: the official training recipe (Kim et al. 2022).
    """

    def __init__(
        self,
        store: VariantStore,
        *,
        batch_size: int,
        group_size: int = 16,
        bad_share: float | None = None,
        num_severe: int = 0,
        seed: int = 0,
    ) -> None:
        num_people = len(store.subject_ids)
        if group_size < 1:
            raise ConfigError(f"group_size: expected at least 1, got {group_size}.")
        if not 1 <= batch_size <= num_people:
            raise ConfigError(
                f"batch_size: expected 1 to {num_people}, the number of people, got {batch_size}. "
                f"Give a smaller batch or more people."
            )
        if bad_share is not None and not 0 < num_severe < store.num_variants:
            raise ConfigError(
                f"bad_share: needs a store with badly degraded and other variants, got "
                f"{num_severe} bad ones of {store.num_variants}. Embed with another recipe, or "
                f"leave bad_share out."
            )
        self.batch_size = batch_size
        self.group_size = group_size
        self.seed = seed
        self._num_variants = store.num_variants
        self._bad_share = bad_share
        self._num_severe = num_severe
        self._epoch = -1, np.zeros(0, np.int64)
        self._order = np.argsort(store.subjects, kind="stable")
        self._first = np.searchsorted(store.subjects[self._order], np.arange(num_people + 1))

    @property
    def num_people(self) -> int:
        """How many people there are to draw from."""
        return len(self._first) - 1

    def batch(self, step: int) -> SetBatch:
        """The batch of step `step` (counted from 0), the same on every call."""
        subjects = self.people_of(step)
        rng = np.random.Generator(np.random.PCG64([self.seed, step, 1]))
        images, variants = [], []
        for subject in subjects:
            images_of = self._order[self._first[subject] : self._first[subject + 1]]
            groups = [self._draw_group(rng, images_of) for _ in range(2)]
            images.append(np.concatenate(groups))
            variants.append(np.concatenate([self._draw_variants(rng) for _ in range(2)]))
        return SetBatch(subjects=subjects, images=np.stack(images), variants=np.stack(variants))

    def people_of(self, step: int) -> npt.NDArray[np.int64]:
        """(B,) int64, the people of the batch of step `step`, as in `batch`."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = positions // self.num_people
        people = np.empty(self.batch_size, dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            people[here] = self._people_in_epoch(int(epoch))[positions[here] % self.num_people]
        return people

    def _people_in_epoch(self, epoch: int) -> npt.NDArray[np.int64]:
        """All people in the order of an epoch; the last one asked for is kept."""
        kept, people = self._epoch
        if kept != epoch:
            rng = np.random.Generator(np.random.PCG64([self.seed, epoch, 0]))
            people = rng.permutation(self.num_people)
            self._epoch = epoch, people
        return people

    def _draw_group(
        self, rng: np.random.Generator, images: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        count = int(rng.integers(1, MAX_IMAGES + 1))
        chosen = rng.choice(images, size=count, replace=True)
        cuts = np.sort(rng.integers(0, self.group_size + 1, count - 1))
        lengths = np.diff(np.concatenate([[0], cuts, [self.group_size]]))
        places: npt.NDArray[np.int64] = np.repeat(chosen, lengths)
        if self._bad_share is not None:
            rng.shuffle(places)
        return places

    def _draw_variants(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        if self._bad_share is None:
            return rng.integers(0, self._num_variants, self.group_size)
        share = self._bad_share if rng.random() < 0.5 else rng.random()
        first_bad = self._num_variants - self._num_severe
        bad = rng.integers(first_bad, self._num_variants, self.group_size)
        other = rng.integers(0, first_bad, self.group_size)
        return np.where(rng.random(self.group_size) < share, bad, other)
