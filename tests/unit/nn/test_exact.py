from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import ConfigError, ShapeError
from probefusion.nn.exact import ExactFuser, ExactFuserConfig, FastFuserConfig
from probefusion.nn.interface import TrainableFuser

SIZES = {"dim": 8, "style_channels": 5}
TOLERANCE = 1e-11
"""Of the largest number of the other way, in float64: some hundred roundings of 2e-16, enlarged by
the shaken layers, stay below 1e-14 on every processor; what depends on the order is above 1e-3."""
VARIANTS = [
    {},
    {"corrects": False, "sees_embedding": False},
    {"sees_norm": False, "per_dimension_gains": False},
    {"num_clusters": 1, "depth": 0},
    {"depth": 0},
]


def shaken(**settings) -> ExactFuser:
    """A float64 network whose zero-initialised parts are not zero."""
    network = ExactFuser(ExactFuserConfig(**SIZES, **settings)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return network.double()


def images(count: int, batch: int = 3):
    generator = torch.Generator().manual_seed(1)
    embeddings = 5 * torch.randn(batch, count, 8, generator=generator)
    style = torch.randn(batch, count, 5, 2, generator=generator)
    return embeddings.double(), style.double()


def deviation(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest expected number."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("settings", VARIANTS)
@torch.no_grad()
def test_order_and_repetition_change_nothing(settings) -> None:
    network = shaken(**settings)
    embeddings, style = images(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    whole = network(embeddings, style)
    assert deviation(network(embeddings[:, order], style[:, order]), whole) < TOLERANCE
    twice = network(embeddings.repeat(1, 2, 1), style.repeat(1, 2, 1, 1))
    assert deviation(twice, whole) < TOLERANCE


@pytest.mark.parametrize("settings", VARIANTS)
@torch.no_grad()
def test_training_pass_is_forward_on_every_prefix(settings) -> None:
    network = shaken(**settings)
    embeddings, style = images(8)
    made = network.training_pass(embeddings, style, prefixes=(1, 3, 4))
    assert made.prefix_fused.shape == (2, 3, 3, 8)
    for group, start in enumerate((0, 4)):
        for index, length in enumerate((1, 3, 4)):
            part = slice(start, start + length)
            expected = network(embeddings[:, part], style[:, part])
            assert deviation(made.prefix_fused[group, index], expected) < TOLERANCE
    assert deviation(made.joint, network(embeddings, style)) < TOLERANCE
    assert torch.equal(made.joint, made.sequential)
    assert isinstance(network, TrainableFuser)


@torch.no_grad()
def test_without_correction_and_with_one_gain_a_single_image_is_its_own_template() -> None:
    embeddings, style = images(1)
    network = shaken(corrects=False, refines=False, per_dimension_gains=False)
    fused = torch.nn.functional.normalize(network(embeddings, style), dim=-1)
    units = torch.nn.functional.normalize(embeddings[:, 0], dim=-1)
    assert torch.allclose(fused, units, atol=1e-5)


@torch.no_grad()
def test_embeddings_without_style_and_length_are_judged_by_their_direction() -> None:
    config = ExactFuserConfig(dim=8, style_channels=0, sees_norm=False)
    network = ExactFuser(config, rng=np.random.default_rng(3)).eval().double()
    embeddings, _ = images(6)
    lengths = torch.rand(3, 6, 1, generator=torch.Generator().manual_seed(4)).double() + 0.5
    nothing = embeddings.new_zeros(3, 6, 0, 2)
    fused = network(embeddings, nothing)
    assert torch.allclose(network(embeddings * lengths, nothing), fused, atol=1e-4)


@torch.no_grad()
def test_the_weight_stays_within_its_bound() -> None:
    network = shaken(max_log_weight=1.5)
    network.weight.weight *= 1e4
    embeddings, style = images(50)
    mass = network.terms(embeddings, style).shares.sum(dim=-1)
    assert mass.max() <= np.exp(1.5) * 1.0001
    assert mass.min() >= np.exp(-1.5) * 0.9999
    assert mass.max() / mass.min() > 10


@pytest.mark.parametrize("settings", VARIANTS)
def test_every_parameter_is_trained(settings) -> None:
    network = shaken(**settings).train()
    made = network.training_pass(*images(8), prefixes=(2, 4))
    (made.prefix_fused**2).sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_equal_generators_give_equal_networks() -> None:
    config = ExactFuserConfig(**SIZES)
    one, two, other = (ExactFuser(config, rng=np.random.default_rng(k)) for k in (1, 1, 2))
    assert torch.equal(one.trunk.weight, two.trunk.weight)
    assert not torch.equal(one.trunk.weight, other.trunk.weight)


@pytest.mark.parametrize(
    "bad",
    [
        {"num_clusters": 0},
        {"hidden": True},
        {"max_log_weight": 4.5},
        {"max_log_gain": 0.0},
        {"corrects": 1},
        {"style_channels": 0, "sees_norm": False, "sees_embedding": False},
        {"dropout": 1.0},
    ],
)
def test_bad_settings(bad) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        ExactFuserConfig(**{**SIZES, **bad})


def test_wrong_shapes() -> None:
    embeddings, style = images(4)
    with pytest.raises(ShapeError):
        shaken()(embeddings[..., :7], style)
    with pytest.raises(ShapeError):
        shaken()(embeddings, style[:, :3])


def test_one_cluster_has_nothing_to_assign_and_nothing_to_weigh() -> None:
    config = FastFuserConfig(dim=8, style_channels=4)
    network = ExactFuser(config, rng=np.random.default_rng(0)).eval()
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert not names & {"centres", "assign", "aggregation", "refinement"}
    embeddings, style = torch.randn(2, 5, 8), torch.rand(2, 5, 4, 2)
    with torch.no_grad():
        terms = network.terms(embeddings, style)
        assert terms.shares.shape == (2, 5, 1)
        expected = (terms.shares * terms.values).sum(1) / terms.shares.sum(1)
        # The correction starts at zero.
        assert torch.allclose(network(embeddings, style), expected, atol=1e-6)


def test_no_mixer_block_is_allowed_and_less_is_not() -> None:
    assert ExactFuserConfig(depth=0).depth == 0
    with pytest.raises(ConfigError, match="depth: expected an integer of at least 0"):
        ExactFuserConfig(depth=-1)


@torch.no_grad()
def test_half_of_the_correction_counts_once_trained_and_all_of_it_in_training() -> None:
    settings = {"num_clusters": 1, "refines": False}
    half = shaken(**settings)
    whole, nothing = (shaken(**settings, correction_share=share) for share in (1.0, 0.0))
    found, all_of_it, none = (network(*images(4)) for network in (half, whole, nothing))
    assert deviation(found, (all_of_it + none) / 2) < TOLERANCE
    assert deviation(half.train()(*images(4)), whole.train()(*images(4))) < TOLERANCE


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_correction_share_out_of_range_is_refused(share) -> None:
    with pytest.raises(ConfigError, match="correction_share: expected a share from 0 to 1"):
        ExactFuserConfig(**SIZES, correction_share=share)
