"""Many sets at once: the same splits, similarities and doubts as set by set, whichever way they are computed."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import planted

from probefusion.fusion import MeanFuser
from probefusion.fusion.contributions import Sums
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.elements import Elements
from probefusion.screening.judging import worst_split, worst_splits
from probefusion.screening.known import CAUTIOUS
from probefusion.screening.splits import candidate_splits, lighter, splits_of_many
from probefusion.screening.stacks import Stack, first_of_each, stack_of_sums, stacked
from probefusion.types import EmbeddingSet

SETS = [(9, 3), (12,), (6, 6), (11, 1), (5, 4, 3), (12,)]
FUSERS = [MeanFuser(num_threads=1), UniversalFuser(num_threads=1)]


def images(seed: int, *counts: int) -> EmbeddingSet:
    quality = np.random.default_rng(seed).standard_normal(sum(counts)).astype(np.float32)
    return planted(*counts, seed=seed, noise=0.9, quality=quality)


def stack(fuser, sets) -> Stack:
    many = EmbeddingSet.concatenate(sets)
    flat = fuser.encode_many(many, np.arange(len(many) + 1))
    alone = fuser.finish_many(flat).astype(np.float64)
    shape = (len(sets), len(sets[0]))
    found, weighing = stack_of_sums(
        fuser, Sums(*(array.reshape(*shape, *array.shape[1:]) for array in flat)),
        alone.reshape(*shape, -1),
    )  # fmt: skip
    assert weighing.all()
    return found


def direct(found: Stack) -> Stack:
    """The same sets, their templates made by the fuser instead of products of images."""
    return Stack(fuser=found.fuser, sums=found.sums, alone=found.alone, weights=found.weights)


@pytest.mark.parametrize("fuser", FUSERS, ids=lambda fuser: fuser.name)
def test_sets_together_are_judged_as_alone(fuser) -> None:
    sets = [images(seed, *counts) for seed, counts in enumerate(SETS)]
    together = worst_splits(stack(fuser, sets), CAUTIOUS)
    assert (together.scores > 0).any()
    for row, each in enumerate(sets):
        alone = worst_split(Elements.of(each, fuser), CAUTIOUS)
        assert (together.parts[row] == alone.part).all()
        assert together.scores[row] == pytest.approx(alone.score, abs=1e-6)
        assert together.similarities[row] == pytest.approx(alone.similarity, abs=1e-6)


@pytest.mark.parametrize("fuser", FUSERS, ids=lambda fuser: fuser.name)
def test_products_say_what_templates_say(fuser) -> None:
    pooled = stack(fuser, [images(seed, *counts) for seed, counts in enumerate(SETS)])
    places, parts = splits_of_many(pooled.alone, pooled.weights)
    fused = direct(pooled)
    assert type(pooled) is not Stack
    assert pooled.similarities(places, parts) == pytest.approx(
        fused.similarities(places, parts), abs=1e-6
    )
    sides = parts[first_of_each(places, np.zeros(len(places)))]
    for side in (sides, ~sides):
        assert pooled.beside(side) == pytest.approx(fused.beside(side), abs=1e-6, nan_ok=True)
    assert worst_splits(pooled, CAUTIOUS).scores == pytest.approx(
        worst_splits(fused, CAUTIOUS).scores, abs=1e-5
    )


def test_an_image_is_beside_the_others_of_its_side() -> None:
    each = planted(4, 3)
    fuser = MeanFuser(num_threads=1)
    side = np.arange(7) < 4
    cosines = stacked(Elements.of(each, fuser)).beside(side[None])[0]
    others = fuser.fuse(each[np.array([1, 2, 3])]).vector
    assert cosines[0] == pytest.approx(float(others @ fuser.fuse(each[[0]]).vector), abs=1e-6)
    whole = fuser.fuse(each[np.arange(4)]).vector
    assert cosines[6] == pytest.approx(float(whole @ fuser.fuse(each[[6]]).vector), abs=1e-6)


def test_a_side_of_one_image_and_images_that_cancel_have_no_cosine() -> None:
    rows = np.eye(8, 64)[[0, 0, 1, 1, 2]] * np.array([1, -1, 1, -1, 1])[:, None]
    pooled = stacked(Elements.of(EmbeddingSet(embeddings=rows), MeanFuser(num_threads=1)))
    sides = np.eye(5, dtype=bool)[:1]
    for found in (pooled, direct(pooled)):
        assert np.isnan(found.beside(sides)[0, 0])
        halves = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]], dtype=bool)
        cosines = found.similarities(np.zeros(2, dtype=np.intp), halves)
        assert np.isnan(cosines[0])
        assert cosines[1] == pytest.approx(-np.sqrt(2 / 3), abs=1e-6)


def test_sets_that_weigh_nothing_are_left_out() -> None:
    fuser = MeanFuser(num_threads=1)
    rows = planted(8)
    flat = fuser.encode_many(rows, np.arange(9))
    sums = Sums(*(array.reshape(2, 4, *array.shape[1:]).copy() for array in flat))
    sums.mass[0] = 0
    alone = fuser.finish_many(flat).astype(np.float64).reshape(2, 4, -1)
    found, weighing = stack_of_sums(fuser, sums, alone)
    assert weighing.tolist() == [False, True]
    assert len(found) == 1
    assert found.weights == pytest.approx(np.full((1, 4), 0.25))


def test_splits_of_many_are_those_of_each() -> None:
    pooled = stack(FUSERS[1], [images(seed, *counts) for seed, counts in enumerate(SETS)])
    places, parts = splits_of_many(pooled.alone, pooled.weights)
    for row in range(len(pooled)):
        alone = candidate_splits(pooled.alone[row], pooled.weights[row])
        assert (parts[places == row] == alone).all()


def test_parts_of_sets_of_more_images_than_fit_one_word_are_different() -> None:
    elements = Elements.of(planted(70, 30), MeanFuser(num_threads=1))
    parts = candidate_splits(elements.alone, elements.weights)
    assert len(np.unique(parts, axis=0)) == len(parts) > 100


def test_the_lighter_part_of_equal_ones_is_that_without_the_first_image() -> None:
    parts = np.array(
        [[True, True, False, False], [False, False, True, True], [True, True, True, False]]
    )
    found = lighter(parts, np.full((3, 4), 0.25))
    assert found.tolist() == [[False, False, True, True]] * 2 + [[False, False, False, True]]


def test_the_first_of_equal_scores_is_taken() -> None:
    sets = np.array([0, 0, 0, 1, 1])
    assert first_of_each(sets, np.array([1.0, 3, 3, -np.inf, -np.inf])).tolist() == [1, 3]
