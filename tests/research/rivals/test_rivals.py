"""What each rival keeps, by random search; and a counter-example for what it does not keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from probefusion.nn.architectures import build_network  # noqa: E402
from probefusion.nn.imagewise import ImagewiseNetwork  # noqa: E402
from research.rivals import RIVALS  # noqa: E402

DIM, CHANNELS = 8, 5
SUMS = [name for name in RIVALS if RIVALS[name][1] == "imagewise"]
WHOLE_SETS = [name for name in RIVALS if RIVALS[name][1] == "whole-set"]
ORDER_FREE = [name for name in RIVALS if name != "recurrent"]


def network_of(name: str):
    """A network with sizable parameters, in float64: some magnify the rounding of float32 beyond 1e-5."""
    network = build_network(name, {"dim": DIM, "style_channels": CHANNELS}).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return network.double()


def images(seed: int, count: int):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.rand(1, count, 1, generator=generator) * 8 + 1
    embeddings = torch.randn(1, count, DIM, generator=generator) * lengths
    style = torch.rand(1, count, CHANNELS, 2, generator=generator)
    return embeddings.double(), style.double()


def unit(fused):
    return torch.nn.functional.normalize(fused, dim=-1)[0].numpy()


@pytest.mark.parametrize("name", ORDER_FREE)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
@torch.no_grad()
def test_the_order_is_free(name, seed, count) -> None:
    network = network_of(name)
    embeddings, style = images(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    found = unit(network(embeddings[:, order], style[:, order]))
    assert np.allclose(found, unit(network(embeddings, style)), atol=1e-5)


@torch.no_grad()
def test_counter_example_the_order_matters_to_a_recurrent_network() -> None:
    network = network_of("recurrent")
    embeddings, style = images(1, 8)
    turned = unit(network(embeddings.flip(1), style.flip(1)))
    assert np.abs(turned - unit(network(embeddings, style))).max() > 1e-2


@pytest.mark.parametrize("name", SUMS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 12), cut=st.integers(1, 11))
@torch.no_grad()
def test_sums_of_parts_are_the_sums_of_the_whole(name, seed, count, cut) -> None:
    network = network_of(name)
    assert isinstance(network, ImagewiseNetwork)
    embeddings, style = images(seed, count)
    cut = min(cut, count - 1)

    def sums(part: slice):
        terms = network.terms(embeddings[:, part], style[:, part])
        shares = terms.shares.double().transpose(1, 2)
        return [
            shares.sum(dim=2),
            shares @ terms.values.double(),
            shares @ terms.style_tokens.double(),
        ]

    first, second = sums(slice(0, cut)), sums(slice(cut, None))
    merged = network.read_out(*(a + b for a, b in zip(first, second, strict=True)))[0]
    whole = network.read_out(*sums(slice(None)))[0]
    assert np.allclose(unit(merged), unit(whole), atol=1e-6)
    assert np.allclose(unit(whole), unit(network(embeddings, style)), atol=1e-5)


@pytest.mark.parametrize("name", WHOLE_SETS)
@torch.no_grad()
def test_counter_example_a_mean_of_parts_is_not_the_whole(name) -> None:
    network = network_of(name)
    embeddings, style = images(3, 8)
    parts = [network(embeddings[:, part], style[:, part]) for part in (slice(0, 5), slice(5, None))]
    merged = (5 * parts[0] + 3 * parts[1]) / 8
    assert np.abs(unit(merged) - unit(network(embeddings, style))).max() > 1e-3


@pytest.mark.parametrize("name", RIVALS)
def test_training_pass_is_forward_on_every_prefix(name) -> None:
    network = network_of(name)
    embeddings, style = images(4, 8)
    with torch.no_grad():
        made = network.training_pass(embeddings, style, prefixes=(1, 4))
        for group, start in enumerate((0, 4)):
            for index, length in enumerate((1, 4)):
                part = slice(start, start + length)
                expected = network(embeddings[:, part], style[:, part])
                assert torch.allclose(made.prefix_fused[group, index], expected, atol=1e-4)
    network.train()
    made = network.training_pass(embeddings.repeat(2, 1, 1), style.repeat(2, 1, 1, 1), (2, 4))
    (made.prefix_fused**2).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
