"""Aggregation network: weights over clusters, gate, shared LayerNorm."""

from __future__ import annotations

import torch

from probefusion.nn.aggregation_network import AggregationNetwork


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_equal_clusters_come_out_unchanged():
    network = AggregationNetwork(num_clusters=4, depth=2, weights_per_cluster=16)
    embedding = draw(2, 1, 16).expand(2, 4, 16)
    fused, weight = network(draw(1, 4, 128), draw(2, 4, 128, seed=1), embedding)
    torch.testing.assert_close(fused, embedding[:, 0])
    assert weight.std(dim=1).max() > 0


@torch.no_grad()
def test_weights_see_centres_and_style_but_not_the_embedding():
    network = AggregationNetwork(num_clusters=4, depth=2, weights_per_cluster=16)
    centres, style, embedding = draw(1, 4, 128), draw(2, 4, 128, seed=1), draw(2, 4, 16, seed=2)
    _, weight = network(centres, style, embedding)
    assert torch.equal(network(centres, style, 2 * embedding)[1], weight)
    assert not torch.equal(network(2 * centres, style, embedding)[1], weight)
    assert not torch.equal(network(centres, 2 * style, embedding)[1], weight)


@torch.no_grad()
def test_a_block_is_gate_times_input_plus_two_mixtures():
    block = AggregationNetwork(num_clusters=4, depth=1, weights_per_cluster=1)[0]
    block.skip_connect_gate.fill_(0.5)
    clusters = draw(1, 4, 256)
    mixed = block.tokens_mlp_block(block.ln(clusters).mT).mT
    gated = 0.5 * clusters + mixed
    expected = gated + block.channels_mlp_block(block.ln(gated))
    torch.testing.assert_close(block(clusters), expected)
