"""Cluster network: which inputs matter, and stochastic depth."""

from __future__ import annotations

import pytest
import torch

from probefusion.nn.cluster_network import ClusterNetwork, StochasticDepth


def made(depth=2, rate=0.0, num_clusters=4):
    return ClusterNetwork(num_clusters=num_clusters, depth=depth, stochastic_depth=rate).eval()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_the_order_of_images_moves_only_the_assignment():
    network = made().double()
    tokens, directions = draw(2, 6, 128).double(), draw(2, 6, 16, seed=1).double()
    order = [3, 1, 5, 0, 4, 2]
    plain, moved = network(tokens, directions), network(tokens[:, order], directions[:, order])
    torch.testing.assert_close(moved.assignment, plain.assignment[:, :, order], rtol=0, atol=1e-12)
    for name in ("mass", "cluster_embedding", "cluster_style"):
        torch.testing.assert_close(getattr(moved, name), getattr(plain, name), rtol=0, atol=1e-12)


@torch.no_grad()
def test_directions_do_not_touch_the_assignment():
    network, tokens = made(), draw(1, 5, 128)
    first, second = network(tokens, draw(1, 5, 16, seed=1)), network(tokens, draw(1, 5, 16, seed=2))
    assert torch.equal(first.assignment, second.assignment)
    assert not torch.equal(first.cluster_embedding, second.cluster_embedding)


@torch.no_grad()
def test_large_sets_give_means_not_sums():
    summary = made()(draw(1, 64, 128), torch.ones(1, 64, 16))
    assert (summary.mass > 1).all()
    torch.testing.assert_close(summary.cluster_embedding, torch.ones(1, 4, 16))


@pytest.mark.parametrize(("depth", "rates"), [(1, [0.0]), (2, [0.0, 0.1]), (3, [0.0, 0.05, 0.1])])
def test_stochastic_depth_grows_linearly(depth, rates):
    assert [block.drop_path.rate for block in made(depth, 0.1).blocks] == pytest.approx(rates)


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = StochasticDepth(0.25).train()(torch.ones(4000, 3, 2))
    per_sample = dropped.flatten(1)
    assert torch.equal(per_sample, per_sample[:, :1].expand_as(per_sample))
    values = per_sample[:, 0]
    survived = values != 0
    torch.testing.assert_close(values[survived], torch.full_like(values[survived], 1 / 0.75))
    assert survived.float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_stochastic_depth_rests_in_evaluation():
    values = torch.ones(8, 3, 2)
    assert StochasticDepth(0.9).eval()(values) is values
    assert StochasticDepth(0.0).train()(values) is values
