from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import ConfigError, FileFormatError, MismatchError, UnknownNameError
from probefusion.training.config import TrainingConfig
from probefusion.training.loop import train_network

SETTINGS = {"batch_size": 6, "group_size": 4, "steps": 8, "learning_rate": 3e-3}


def parameters(result) -> dict[str, torch.Tensor]:
    return result.network.state_dict()


def same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("architecture", ["exact", "official"])
def test_same_seed_same_network(store, architecture) -> None:
    config = TrainingConfig(architecture=architecture, **SETTINGS)
    one, two = (parameters(train_network(store, config)) for _ in range(2))
    assert same(one, two)
    other = TrainingConfig(architecture=architecture, **SETTINGS, seed=1)
    assert not same(one, parameters(train_network(store, other)))


@pytest.mark.parametrize("architecture", ["exact", "official"])
def test_a_stopped_run_goes_on_to_the_same_network(tmp_path, store, architecture) -> None:
    config = TrainingConfig(architecture=architecture, **SETTINGS)
    straight = train_network(store, config)
    steps = []
    stopped = train_network(
        store,
        config,
        checkpoint=tmp_path / "c",
        on_step=steps.append,
        should_stop=lambda: len(steps) == 3,
    )
    assert (stopped.step, stopped.is_finished) == (3, False)
    resumed = train_network(store, config, checkpoint=tmp_path / "c")
    assert resumed.is_finished
    assert len(resumed.centre_losses) == 5
    assert same(parameters(straight), parameters(resumed))
    again = train_network(store, config, checkpoint=tmp_path / "c")
    assert len(again.centre_losses) == 0
    assert same(parameters(straight), parameters(again))


def test_loss_falls(store) -> None:
    network = {"correction": "full", "sees_embedding": True}
    config = TrainingConfig(**{**SETTINGS, "steps": 120, "batch_size": 12}, network=network)
    losses = train_network(store, config).centre_losses
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()


def test_learning_rate_falls_at_the_milestones() -> None:
    config = TrainingConfig(steps=10, learning_rate=1.0, milestones=(0.6, 0.9))
    rates = [config.learning_rate_at(step) for step in range(10)]
    assert np.allclose(rates, [1] * 6 + [0.1] * 3 + [0.01])


def test_checkpoint_of_another_run_is_refused(tmp_path, store) -> None:
    config = TrainingConfig(**SETTINGS)
    train_network(store, config, checkpoint=tmp_path / "c")
    with pytest.raises(MismatchError, match="other settings"):
        train_network(store, TrainingConfig(**SETTINGS, seed=9), checkpoint=tmp_path / "c")
    (tmp_path / "c").write_bytes(b"rubbish")
    with pytest.raises(FileFormatError):
        train_network(store, config, checkpoint=tmp_path / "c")


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"group_size": 1}, {"learning_rate": -1}, {"milestones": (1.5,)}]
)
def test_bad_settings(bad) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        TrainingConfig(**bad)


def test_unknown_architecture_and_setting(store) -> None:
    with pytest.raises(UnknownNameError, match="exact"):
        train_network(store, TrainingConfig(**SETTINGS, architecture="exakt"))
    with pytest.raises(ConfigError, match="did you mean 'num_clusters'"):
        train_network(store, TrainingConfig(**SETTINGS, network={"num_cluster": 2}))
