from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig  # noqa: E402

from probefusion.errors import ConfigError, ShapeError  # noqa: E402

SMALL = {"dim": 10, "widths": (4, 6, 8, 10), "depths": (1, 2, 1), "head": 12}


@pytest.fixture(scope="module")
def network():
    config = CompactEmbedderConfig(**SMALL)
    return CompactEmbedder(config, rng=np.random.default_rng(0)).eval()


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_default_has_at_most_1_2_million_parameters() -> None:
    network = CompactEmbedder(rng=np.random.default_rng(0))
    assert 0.9e6 < sum(part.numel() for part in network.parameters()) <= 1.2e6
    assert network.config == CompactEmbedderConfig()
    assert network.config.dim == 128


def test_shapes(network, pixels) -> None:
    with torch.no_grad():
        assert network(pixels).shape == (3, 10)
        shapes = [tuple(part.shape) for part in network.maps(pixels)]
        assert shapes == [(3, 6, 28, 28), (3, 8, 14, 14), (3, 12, 7, 7)]
        assert network(pixels[:0]).shape == (0, 10)
        assert torch.equal(network.embed(network.maps(pixels)[-1]), network(pixels))
    assert network.style_stages == (network.fine, network.middle)


def test_each_image_is_embedded_alone_and_length_is_kept(network, pixels) -> None:
    with torch.no_grad():
        together = network(pixels)
        alone = torch.cat([network(pixels[index : index + 1]) for index in range(3)])
    assert (together - alone).abs().max() < 1e-4 * together.abs().max()
    assert (together.norm(dim=1) - 1).abs().max() > 1e-3


def test_a_generator_gives_one_network() -> None:
    config = CompactEmbedderConfig(**SMALL)
    first, second, third = (
        CompactEmbedder(config, rng=np.random.default_rng(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["embedding.weight"], third["embedding.weight"])


@pytest.mark.parametrize("shape", [(1, 3, 111, 112), (1, 1, 112, 112), (3, 112, 112)])
def test_other_sizes_are_refused(network, shape) -> None:
    with pytest.raises(ShapeError, match=r"\(N, 3, 112, 112\)"):
        network(torch.zeros(shape))


def test_a_config_survives_json() -> None:
    config = CompactEmbedderConfig(**SMALL)
    assert CompactEmbedderConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"widths": (1, 2, 3)}, "four and three"),
        ({"depths": (1, 2)}, "four and three"),
        ({"dim": 0}, "at least 1"),
        ({"widths": (1, 2, 3, 0)}, "at least 1"),
        ({"head": 5.0}, "whole numbers"),
        ({"expansion": True}, "whole numbers"),
    ],
)
def test_wrong_configs_are_refused(settings, words) -> None:
    with pytest.raises(ConfigError, match=words):
        CompactEmbedderConfig(**settings)
