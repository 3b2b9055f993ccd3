from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.training.set_sampler import SetSampler


def test_places_hold_images_of_the_person(store) -> None:
    batch = SetSampler(store, batch_size=6, group_size=16).batch(3)
    assert batch.images.shape == batch.variants.shape == (6, 32)
    assert np.array_equal(store.subjects[batch.images], np.repeat(batch.subjects[:, None], 32, 1))
    assert batch.variants.min() >= 0
    assert batch.variants.max() < store.num_variants


def test_a_group_holds_one_to_three_images_in_runs(store) -> None:
    sampler = SetSampler(store, batch_size=12, group_size=16)
    counts = set()
    for step in range(40):
        for row in sampler.batch(step).images:
            for group in (row[:16], row[16:]):
                runs = 1 + int((np.diff(group) != 0).sum())
                assert runs <= 3
                counts.add(len(set(group.tolist())))
    assert counts == {1, 2, 3}


def test_every_person_once_an_epoch(store) -> None:
    sampler = SetSampler(store, batch_size=4)
    for epoch in range(3):
        people = np.concatenate([sampler.batch(3 * epoch + step).subjects for step in range(3)])
        assert sorted(people) == list(range(12))


def test_steps_are_reproducible_and_differ(store) -> None:
    one, two = SetSampler(store, batch_size=5, seed=3), SetSampler(store, batch_size=5, seed=3)
    two.batch(0)
    assert np.array_equal(one.batch(7).images, two.batch(7).images)
    other = SetSampler(store, batch_size=5, seed=4)
    assert not np.array_equal(one.batch(7).variants, other.batch(7).variants)
    assert not np.array_equal(one.batch(7).variants, one.batch(8).variants)


def test_sizes_are_checked(store) -> None:
    with pytest.raises(ConfigError, match="1 to 12"):
        SetSampler(store, batch_size=13)
    with pytest.raises(ConfigError, match="group_size"):
        SetSampler(store, batch_size=2, group_size=0)
