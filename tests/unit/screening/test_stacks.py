"""Many sets at once: halves as alike as a fuser makes them, and every set judged as it is alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_people import planted

from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.assignment import leanings
from probefusion.screening.judging import judge_splits, outlying, scores_alone
from probefusion.screening.known_images import CAUTIOUS
from probefusion.screening.splits import candidate_splits
from probefusion.screening.stacks import Stack, first_of_each
from probefusion.screening.views import View
from probefusion.types import EmbeddingSet

SETS = [(9, 3), (12,), (6, 6), (11, 1), (5, 4, 3), (12,)]
FUSERS = [MeanFuser(num_threads=1), UniversalFuser(num_threads=1)]


def images(seed: int, *counts: int) -> EmbeddingSet:
    quality = np.random.default_rng(seed).standard_normal(sum(counts)).astype(np.float32)
    return planted(*counts, seed=seed, noise=0.9, quality=quality)


def stacked(fuser: Fuser, *sets: EmbeddingSet) -> Stack:
    view = View(fuser=fuser, expected=CAUTIOUS, is_calibrated=False)
    seen = [view.look(each) for each in sets]
    return Stack(
        directions=np.stack([directions for directions, _ in seen]),
        masses=np.stack([masses for _, masses in seen]),
    )


@pytest.fixture(params=FUSERS, ids=lambda fuser: fuser.name)
def fuser(request):
    return request.param


@pytest.fixture
def sets():
    return [images(seed, *counts) for seed, counts in enumerate(SETS)]


def test_halves_are_what_the_fuser_makes_of_them(fuser, sets) -> None:
    stack = stacked(fuser, *sets)
    places, parts = candidate_splits(stack.cosines, stack.weights)
    similarities = stack.similarities(places, parts)
    halves = stack.halves(places, parts)
    for row in range(0, len(places), 37):
        each, part = sets[places[row]], parts[row]
        first, second = fuser.fuse(each[part]).vector, fuser.fuse(each[~part]).vector
        assert similarities[row] == pytest.approx(float(first @ second), abs=1e-5)
        assert halves.part_counts[row] == part.sum()
        weights = fuser.fuse(each).weights
        assert halves.part_weights[row] == pytest.approx(float(weights[part].sum()), abs=1e-5)


def test_an_image_is_beside_the_others_of_its_side(fuser, sets) -> None:
    side = np.arange(12) < 5
    cosines = stacked(fuser, sets[0], sets[3]).beside(np.stack([side, ~side]))[0]
    others = fuser.fuse(sets[0][np.arange(1, 5)]).vector
    assert cosines[0] == pytest.approx(float(others @ fuser.fuse(sets[0][[0]]).vector), abs=1e-5)
    whole = fuser.fuse(sets[0][np.arange(5)]).vector
    assert cosines[6] == pytest.approx(float(whole @ fuser.fuse(sets[0][[6]]).vector), abs=1e-5)


def test_sets_together_are_judged_as_each_alone(fuser, sets) -> None:
    whole = stacked(fuser, *sets)
    together = judge_splits(whole, CAUTIOUS)
    assert (together.worst > 0).any()
    for row, each in enumerate(sets):
        alone = judge_splits(stacked(fuser, each), CAUTIOUS)
        assert (together.parts[row] == alone.parts[0]).all()
        assert together.scores[row] == pytest.approx(alone.scores[0], abs=1e-6)
        assert together.worst[row] == pytest.approx(alone.worst[0], abs=1e-6)
        assert together.similarities[row] == pytest.approx(alone.similarities[0], abs=1e-6)
    one = leanings(whole, together.parts, CAUTIOUS)[2]
    assert one == pytest.approx(leanings(whole[[2]], together.parts[[2]], CAUTIOUS)[0], abs=1e-6)


@pytest.mark.parametrize("sharpness", [1.0, 2.0, np.inf])
def test_the_score_adds_up_the_odds_of_all_splits(sets, sharpness: float) -> None:
    stack = stacked(FUSERS[0], *sets)
    places, parts = candidate_splits(stack.cosines, stack.weights)
    odds = CAUTIOUS.scores(stack.similarities(places, parts), stack.halves(places, parts))
    expected = replace(CAUTIOUS, sharpness=sharpness)
    found = judge_splits(stack, expected)
    for row in range(len(sets)):
        assert found.worst[row] >= odds[places == row].max() - 1e-9
        if np.isinf(sharpness):
            assert found.scores[row] == found.worst[row]
        else:
            own = np.exp(sharpness * odds[places == row]).sum()
            score = np.log(own) / sharpness - np.log(12)
            assert found.scores[row] == pytest.approx(score, abs=1e-6)
    alone = scores_alone(stack[[0]], CAUTIOUS) - scores_alone(stack[[0]], expected)
    assert alone == pytest.approx(np.full(12, 0 if np.isinf(sharpness) else np.log(12)))


def test_the_part_in_doubt_weighs_less_and_the_people_come_apart(fuser) -> None:
    sets = [
        planted(20, 8, seed=seed, noise=0.5, quality=np.zeros(28, np.float32)) for seed in (1, 2)
    ]
    stack = stacked(fuser, *sets)
    found = judge_splits(stack, CAUTIOUS)
    assert (found.parts == (np.arange(28) >= 20)).all()
    assert (np.einsum("pn,pn->p", found.parts, stack.weights) < 0.5).all()


def test_a_side_of_one_image_and_images_that_cancel_have_no_cosine() -> None:
    rows = np.eye(8, 64)[[0, 0, 1, 1, 2]] * np.array([1, -1, 1, -1, 1])[:, None]
    stack = stacked(FUSERS[0], EmbeddingSet(embeddings=rows))
    assert np.isnan(stack.beside(np.eye(5, dtype=bool)[:1])[0, 0])
    halves = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]], dtype=bool)
    cosines = stack.similarities(np.zeros(2, dtype=np.intp), halves)
    assert np.isnan(cosines[0])
    assert cosines[1] == pytest.approx(-np.sqrt(2 / 3), abs=1e-6)
    assert np.isfinite(judge_splits(stack, CAUTIOUS).scores).all()


def test_images_without_weight_do_no_harm() -> None:
    stack = stacked(FUSERS[0], planted(10, 5))
    light = Stack(
        directions=stack.directions, masses=np.where(np.arange(15) < 10, stack.masses, 1e-300)
    )
    found = judge_splits(light, CAUTIOUS)
    assert np.isfinite(found.scores).all()
    assert found.scores[0] < CAUTIOUS.threshold < judge_splits(stack, CAUTIOUS).scores[0]


def test_outlying_images_are_taken_out_one_by_one() -> None:
    quality = np.full(21, 3.0, dtype=np.float32)
    stack = stacked(FUSERS[1], planted(18, 1, 1, 1, quality=quality))
    assert outlying(stack, CAUTIOUS, 3).tolist() == [18, 19, 20]
    assert outlying(stack, CAUTIOUS, 20).tolist() in ([18], [19], [20])
    assert scores_alone(stack, CAUTIOUS).argsort()[-3:].min() >= 18


def test_the_first_of_equal_scores_is_taken() -> None:
    sets = np.array([0, 0, 0, 1, 1])
    assert first_of_each(sets, np.array([1.0, 3, 3, -30, -30])).tolist() == [1, 3]
