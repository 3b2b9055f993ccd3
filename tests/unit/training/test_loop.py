from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from probefusion.errors import ConfigError, FileFormatError, MismatchError, UnknownNameError
from probefusion.nn.architectures import ARCHITECTURES
from probefusion.training.config import TrainingConfig
from probefusion.training.loop import train_network

SETTINGS = {
    "batch_size": 6,
    "group_size": 4,
    "prefixes": (1, 2, 4),
    "bad_share": None,
    "steps": 8,
    "learning_rate": 3e-3,
}


def parameters(result) -> dict[str, torch.Tensor]:
    return result.network.state_dict()


def same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_same_seed_same_network(store, architecture) -> None:
    config = TrainingConfig(architecture=architecture, **SETTINGS)
    one, two = (parameters(train_network(store, config)) for _ in range(2))
    assert same(one, two)
    other = TrainingConfig(architecture=architecture, **SETTINGS, seed=1)
    assert not same(one, parameters(train_network(store, other)))


@pytest.mark.parametrize("architecture", ["exact", "exact-fast", "official"])
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
    config = TrainingConfig(**{**SETTINGS, "steps": 120, "batch_size": 12})
    losses = train_network(store, config).centre_losses
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()


def test_learning_rate_falls_at_the_milestones() -> None:
    config = TrainingConfig(steps=10, learning_rate=1.0, milestones=(0.6, 0.9))
    rates = [config.learning_rate_at(step) for step in range(10)]
    assert np.allclose(rates, [1] * 6 + [0.1] * 3 + [0.01])


def test_learning_rate_rises_and_falls_along_a_cosine() -> None:
    config = TrainingConfig(steps=300, learning_rate=1.0)
    rates = [config.learning_rate_at(step) for step in range(300)]
    assert rates[0] == pytest.approx(1 / 30, rel=1e-3)
    assert max(rates) == pytest.approx(1, abs=0.05)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
    assert all(a > b for a, b in itertools.pairwise(rates[30:]))


def test_margin_softmax_changes_the_result(store) -> None:
    without = TrainingConfig(**SETTINGS, margin_weight=0.0)
    with_margin = TrainingConfig(**SETTINGS, margin_weight=1.0)
    assert not same(
        parameters(train_network(store, without)), parameters(train_network(store, with_margin))
    )


def test_official_recipe_is_the_published_one() -> None:
    config = TrainingConfig.official(batch_size=512)
    assert config.prefixes == (2, 4, 6, 8, 10, 12, 14, 16)
    assert config.recipe == "official-16"
    assert config.memory_divided_by_batch
    assert (config.memory_weight, config.margin_weight, config.bad_share) == (1.0, 0.0, None)
    rates = [config.learning_rate_at(step) for step in (0, config.steps - 1)]
    assert rates == pytest.approx([1e-3, 1e-5])


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
