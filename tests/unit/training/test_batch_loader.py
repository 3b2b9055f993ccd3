"""Batches from a store on the disk, and the people that the margin softmax looks at."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from probefusion.training import batch_loader  # noqa: E402
from probefusion.training.batch_loader import BatchLoader  # noqa: E402
from probefusion.training.config import TrainingConfig  # noqa: E402
from probefusion.training.parallel import Workers  # noqa: E402
from probefusion.training.set_sampler import SetSampler  # noqa: E402

CONFIG = TrainingConfig(batch_size=4, group_size=4, prefixes=(1, 2, 4), bad_share=None)


def test_a_batch_holds_the_variants_that_the_sampler_drew(store) -> None:
    loader = BatchLoader(store, CONFIG, "cpu", Workers())
    sampler = SetSampler(store, batch_size=4, group_size=4)
    for step in (0, 1, 2, 7, 1):  # the next one is read ahead, others are not
        embeddings, style, subjects = loader.load(step)
        batch = sampler.batch(step)
        assert np.array_equal(
            embeddings, np.asarray(store.embeddings)[batch.images, batch.variants]
        )
        assert np.array_equal(style, np.asarray(store.style)[batch.images, batch.variants])
        assert np.array_equal(subjects, batch.subjects)
        halves = [
            BatchLoader(store, CONFIG, "cpu", Workers(rank=rank, world_size=2)).load(step)[0]
            for rank in range(2)
        ]
        assert torch.equal(torch.cat(halves), embeddings)


def test_few_people_are_all_looked_at(store) -> None:
    loader = BatchLoader(store, CONFIG, "cpu", Workers())
    people, own = loader.margin_people(0, loader.load(0)[2])
    assert people is loader.centres
    assert torch.equal(own, loader.load(0)[2])


def test_of_many_people_the_batch_and_drawn_ones(store, monkeypatch) -> None:
    monkeypatch.setattr(batch_loader, "MARGIN_PEOPLE", 7)
    loader = BatchLoader(store, CONFIG, "cpu", Workers())
    seen = []
    for step in range(12):
        subjects = loader.load(step)[2]
        people, own = loader.margin_people(step, subjects)
        assert people.shape == (7, 12)
        assert torch.equal(people[own], loader.centres[subjects])
        rows = [int((loader.centres == row).all(dim=1).nonzero()) for row in people]
        assert len(set(rows)) == 7
        seen += sorted(set(rows) - set(subjects.tolist()))
        half = BatchLoader(store, CONFIG, "cpu", Workers(rank=1, world_size=2))
        again, own = half.margin_people(step, subjects[2:])
        assert torch.equal(again, people)
        assert torch.equal(again[own], loader.centres[subjects[2:]])
    assert set(seen) == set(range(12))
