from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from research.compact_embedder.verification_pairs import draw_pairs, pair_accuracy

from probefusion.errors import ConfigError, EmptySetError


def make_people(counts) -> dict[str, list[str]]:
    return {
        f"p{number}": [f"p{number}/{image}" for image in range(count)]
        for number, count in enumerate(counts)
    }


def owner(name: str) -> str:
    return name.partition("/")[0]


@pytest.fixture(scope="module")
def people():
    return make_people([1 + number % 9 for number in range(120)])


@pytest.fixture(scope="module")
def pairs(people):
    return draw_pairs(people, num_folds=5, per_fold=40, per_person=4, seed=3)


def test_folds_are_equal_and_half_mated(pairs) -> None:
    assert pairs.pairs.shape == (5 * 80, 2)
    assert pairs.pairs.dtype == np.int64
    for fold in range(5):
        assert (pairs.folds == fold).sum() == 80
        assert pairs.mated[pairs.folds == fold].sum() == 40


def test_pairs_are_what_they_claim(pairs) -> None:
    for (one, other), mated in zip(pairs.pairs, pairs.mated, strict=True):
        first, second = pairs.images[one], pairs.images[other]
        assert first != second
        assert (owner(first) == owner(second)) == mated
    for fold in range(5):
        in_fold = [tuple(sorted(pair)) for pair in pairs.pairs[pairs.folds == fold]]
        assert len(set(in_fold)) == len(in_fold)
    assert set(pairs.pairs.ravel()) == set(range(len(pairs.images)))


def test_nobody_gives_more_mated_pairs_than_allowed_nor_in_two_folds(pairs) -> None:
    mated = [
        (owner(pairs.images[pair[0]]), fold)
        for pair, fold in zip(pairs.pairs[pairs.mated], pairs.folds[pairs.mated], strict=True)
    ]
    assert max(Counter(person for person, _ in mated).values()) <= 4
    folds: dict[str, set[int]] = {}
    for person, fold in mated:
        folds.setdefault(person, set()).add(int(fold))
    assert all(len(found) == 1 for found in folds.values())


def test_few_people_give_smaller_equal_folds() -> None:
    pairs = draw_pairs(make_people([2] * 11), num_folds=4, per_fold=300)
    assert Counter(pairs.folds.tolist()) == dict.fromkeys(range(4), 4)


def test_draws_follow_the_seed_alone(people, pairs) -> None:
    settings = {"num_folds": 5, "per_fold": 40, "per_person": 4}
    reversed_people = dict(reversed(people.items()))
    again = draw_pairs(reversed_people, seed=3, **settings)
    assert again.images == pairs.images
    assert np.array_equal(again.pairs, pairs.pairs)
    assert not np.array_equal(draw_pairs(people, seed=4, **settings).pairs, pairs.pairs)


@pytest.mark.parametrize("settings", [{"num_folds": 1}, {"per_fold": 0}, {"per_person": 0}])
def test_wrong_numbers_are_refused(people, settings) -> None:
    with pytest.raises(ConfigError, match="num_folds, per_fold, per_person"):
        draw_pairs(people, **settings)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(EmptySetError, match="Use fewer folds"):
        draw_pairs(make_people([1, 1, 2, 5]), num_folds=3)


def test_accuracy_of_constructed_embeddings(pairs, rng) -> None:
    directions = {owner(name): rng.standard_normal(64) for name in pairs.images}
    lengths = rng.uniform(0.1, 30, (len(pairs.images), 1))
    same = np.stack([directions[owner(name)] for name in pairs.images])
    perfect = lengths * (same + 0.01 * rng.standard_normal(same.shape))
    assert pair_accuracy(pairs, perfect).mean > 0.99
    random = rng.standard_normal((len(pairs.images), 64))
    assert 0.35 < pair_accuracy(pairs, random).mean < 0.65
    half = np.where(rng.random((len(pairs.images), 1)) < 0.3, random, perfect)
    assert 0.6 < pair_accuracy(pairs, half).mean < 0.95
    assert len(pair_accuracy(pairs, half).accuracies) == 5
