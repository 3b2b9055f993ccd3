from __future__ import annotations

import math

import pytest
import torch

from probefusion.errors import ConfigError
from probefusion.training.config import TrainingConfig
from probefusion.training.early_stopping import EarlyStopping, split_for_validation
from probefusion.training.loop import train_network

SETTINGS = {
    "batch_size": 4,
    "group_size": 4,
    "prefixes": (1, 2, 4),
    "bad_share": None,
    "steps": 40,
    "validation_share": 0.3,
    "check_every": 5,
}


def test_the_best_network_is_kept() -> None:
    network = torch.nn.Linear(1, 1)
    stopping = EarlyStopping(patience=2)
    for step, loss in enumerate((0.5, 0.3, 0.4), start=1):
        torch.nn.init.constant_(network.weight, step)
        assert not stopping.tell(step, loss, network)
    torch.nn.init.constant_(network.weight, 9)
    assert stopping.tell(4, math.nan, network)
    stopping.restore(network)
    assert (network.weight.item(), stopping.best_step, stopping.best_loss) == (2, 2, 0.3)


def test_state_survives_a_checkpoint() -> None:
    network = torch.nn.Linear(2, 1)
    first = EarlyStopping(patience=3)
    first.tell(1, 0.5, network)
    first.tell(2, 0.6, network)
    second = EarlyStopping(patience=3)
    second.load(*first.state())
    assert (second.best_loss, second.best_step, second.waited) == (0.5, 1, 1)
    assert torch.equal(second.best["weight"], network.weight)


def test_people_are_split_by_name(store) -> None:
    training, validation = split_for_validation(store, TrainingConfig(**SETTINGS))
    assert validation is not None
    assert set(training.subject_ids) | set(validation.subject_ids) == set(store.subject_ids)
    assert not set(training.subject_ids) & set(validation.subject_ids)
    rows = {source: index for index, source in enumerate(store.sources)}
    for row, source in enumerate(validation.sources):
        assert (validation.embeddings[row] == store.embeddings[rows[source]]).all()
        person = validation.subject_ids[validation.subjects[row]]
        assert source.startswith(f"{person}/")


def test_a_split_that_leaves_nobody_is_refused(store) -> None:
    with pytest.raises(ConfigError, match="validation_share"):
        split_for_validation(store, TrainingConfig(**{**SETTINGS, "validation_share": 1e-9}))


def test_training_stops_when_held_out_people_no_longer_gain(store) -> None:
    """So high a rate is chaos: with each number of threads it stops elsewhere, long before the last of 80 looks."""
    config = TrainingConfig(**{**SETTINGS, "steps": 400, "learning_rate": 5.0, "patience": 1})
    result = train_network(store, config)
    assert result.is_finished
    assert result.step < config.steps
    assert result.best_step < result.step
    assert result.validation_loss is not None


def test_a_stopped_run_goes_on_to_the_same_network(tmp_path, store) -> None:
    config = TrainingConfig(**SETTINGS)
    straight = train_network(store, config)
    seen = []
    train_network(
        store,
        config,
        checkpoint=tmp_path / "c",
        on_step=seen.append,
        should_stop=lambda: len(seen) == 17,
    )
    resumed = train_network(store, config, checkpoint=tmp_path / "c")
    assert resumed.best_step == straight.best_step
    first, second = straight.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
