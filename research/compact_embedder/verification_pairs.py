"""Pairs of single clean images for the accuracy of an embedder, as LFW's, from any folder of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, EmptySetError
from probefusion.metrics import FoldAccuracy, accuracy_over_folds
from probefusion.types import FloatArray

__all__ = ["VerificationPairs", "draw_pairs", "pair_accuracy"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, eq=False)
class VerificationPairs:
    """Pairs of images in folds, as many mated as non-mated in each.

    Args:
        images: Names of the images that occur.
        pairs: (P, 2) int64, positions in `images`.
        mated: (P,) bool, whether both are of one person.
        folds: (P,) int64, fold of each pair.
    """

    images: tuple[str, ...]
    pairs: npt.NDArray[np.int64]
    mated: npt.NDArray[np.bool_]
    folds: npt.NDArray[np.int64]


def draw_pairs(
    people: Mapping[str, Sequence[str]],
    *,
    num_folds: int = 10,
    per_fold: int = 300,
    per_person: int = 10,
    seed: int = 0,
) -> VerificationPairs:
    """Draws pairs: at most so many mated ones of a person, non-mated ones of two people at random.

    Where the people give fewer mated pairs than asked, all are used and every fold gets the same
    smaller number. No person stands on both sides of the threshold's choice: mated pairs of one
    person are in one fold.

    Args:
        people: Names of the images of each person.
        num_folds: Folds.
        per_fold: Mated pairs in a fold, and non-mated ones.
        per_person: Most mated pairs of one person.
        seed: Of the draws.

    Raises:
        ConfigError: If a number is below 1, or there are fewer than two folds.
        EmptySetError: If some fold would have no mated pair.
    """
    if min(per_fold, per_person) < 1 or num_folds < 2:
        raise ConfigError(
            f"num_folds, per_fold, per_person: expected at least 2, 1 and 1, got {num_folds}, "
            f"{per_fold} and {per_person}."
        )
    rng = np.random.default_rng([seed, 7])
    mated: list[list[tuple[str, str]]] = [[] for _ in range(num_folds)]
    for images in _shuffled(sorted(people.values(), key=lambda images: images[0]), rng):
        of_person = _shuffled(list(combinations(images, 2)), rng)[:per_person]
        min(mated, key=len).extend(of_person)
    per_fold = min(per_fold, min(len(fold) for fold in mated))
    if per_fold < 1:
        raise EmptySetError(
            f"people: expected at least {num_folds} people with two images, got "
            f"{sum(len(images) > 1 for images in people.values())}. Use fewer folds."
        )
    owners = {image: person for person, images in people.items() for image in images}
    names = sorted(owners)
    drawn: list[tuple[str, str]] = []
    for fold in mated:
        drawn += _shuffled(fold, rng)[:per_fold]
        non_mated: set[tuple[str, str]] = set()
        while len(non_mated) < per_fold:
            one, other = sorted(names[index] for index in rng.integers(0, len(names), 2))
            if owners[one] != owners[other]:
                non_mated.add((one, other))
        drawn += sorted(non_mated)
    used = sorted({image for pair in drawn for image in pair})
    position = {image: index for index, image in enumerate(used)}
    return VerificationPairs(
        images=tuple(used),
        pairs=np.array([[position[one], position[other]] for one, other in drawn]),
        mated=np.array([owners[one] == owners[other] for one, other in drawn]),
        folds=np.repeat(np.arange(num_folds), 2 * per_fold),
    )


def pair_accuracy(pairs: VerificationPairs, embeddings: FloatArray) -> FoldAccuracy:
    """Accuracy of the cosine similarity, each fold judged with the threshold of the others.

    Args:
        pairs: The pairs.
        embeddings: (I, D) embeddings of `pairs.images`, of any length.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similarities = (unit[pairs.pairs[:, 0]] * unit[pairs.pairs[:, 1]]).sum(axis=1)
    return accuracy_over_folds(similarities, pairs.mated, pairs.folds)


def _shuffled(items: Sequence[_T], rng: np.random.Generator) -> list[_T]:
    return [items[index] for index in rng.permutation(len(items))]
