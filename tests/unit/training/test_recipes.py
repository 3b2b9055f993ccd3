from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.training.config import TrainingConfig
from probefusion.training.recipes import RECIPES, find_recipe
from probefusion.training.set_sampler import SetSampler


@pytest.fixture(scope="module")
def crop():
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (14, 14, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.clip(smooth + rng.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_give_their_number_of_variants_reproducibly(name, crop) -> None:
    recipe = find_recipe(name)
    one, two = (recipe.draw(crop, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == (recipe.num_variants, 112, 112, 3)
    assert one.dtype == np.uint8
    assert (one == two).all()


def test_bad_variants_stand_last_and_are_worse(crop) -> None:
    recipe = find_recipe("surveillance-20")
    losses = np.zeros(recipe.num_variants)
    for seed in range(8):
        variants = recipe.draw(crop, np.random.default_rng(seed)).astype(float)
        detail = np.abs(np.diff(variants, axis=2)).mean(axis=(1, 2, 3))
        losses += np.abs(np.diff(crop.astype(float), axis=1)).mean() - detail
    first_bad = recipe.num_variants - recipe.num_severe
    mild = losses[first_bad - 4 : first_bad]
    assert losses[first_bad:].mean() > mild.mean()


def test_unknown_recipe() -> None:
    with pytest.raises(UnknownNameError, match="surveillance-20"):
        find_recipe("surveilance-20")


def test_sets_follow_the_share_of_bad_variants(store) -> None:
    sampler = SetSampler(store, batch_size=12, group_size=16, bad_share=1.0, num_severe=1, seed=0)
    bad = np.concatenate([sampler.batch(step).variants == 3 for step in range(20)])
    by_group = bad.reshape(-1, 16).mean(axis=1)
    assert (by_group == 1).mean() > 0.4  # half of the groups are all bad
    assert 0.6 < bad.mean() < 0.9  # the other half have a uniform share: .75 in all


def test_a_share_needs_a_recipe_that_knows_bad_variants(store) -> None:
    with pytest.raises(ConfigError, match="bad_share"):
        TrainingConfig(recipe="official-16", bad_share=0.5)
    with pytest.raises(ConfigError, match="bad_share"):
        SetSampler(store, batch_size=4, bad_share=0.5)
