from __future__ import annotations

import numpy as np
import pytest
import torch
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig
from research.crop_quality.network import EmbedderQuality

from probefusion.errors import ConfigError
from probefusion.nn.architectures import build_network
from research.rivals import RIVALS

SMALL = CompactEmbedderConfig(dim=8, widths=(4, 6, 8, 8), depths=(1, 1, 1), head=16)


def small_fuser(**changes):
    settings = {"dim": 8, "style_channels": 14, **changes}
    network = build_network("exact-fast", settings, rng=np.random.default_rng(1))
    with torch.no_grad():  # a weight that starts at zero judges all images alike
        generator = torch.Generator().manual_seed(2)
        network.weight.weight += torch.randn(network.weight.weight.shape, generator=generator)
    return network.eval()


@pytest.mark.parametrize("fused_dim", [8, 20])
def test_the_quality_is_the_fusers_weight_of_the_embedders_style(fused_dim) -> None:
    embedder = CompactEmbedder(SMALL, rng=np.random.default_rng(0))
    fuser = small_fuser(dim=fused_dim)
    generator = torch.Generator().manual_seed(4)
    crops = torch.randint(0, 256, (3, 112, 112, 3), dtype=torch.uint8, generator=generator)
    crops[1] = crops[1] // 8
    crops[2, ::4] = 255
    with torch.no_grad():
        for _ in range(40):  # statistics of its BatchNorms, without which all maps are near zero
            embedder((crops.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)
    embedder.eval()
    with torch.no_grad():
        found = EmbedderQuality(embedder, fuser)(crops)
        pixels = (crops.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        fine, middle, last = embedder.maps(pixels)
        style = torch.cat(
            [torch.stack([part.mean((2, 3)), part.std((2, 3))], dim=-1) for part in (fine, middle)],
            dim=1,
        )
        shares = fuser.terms(embedder.embed(last)[None], style[None]).shares[0, :, 0]
    assert found.shape == (3,)
    assert torch.allclose(found, shares.log(), atol=1e-4)
    assert found.std() > 1e-3


def test_a_fuser_of_another_embedder_is_refused() -> None:
    with pytest.raises(ConfigError, match="fuser: expected one for 14 style channels, got 12"):
        EmbedderQuality(CompactEmbedder(SMALL), small_fuser(style_channels=12))


@pytest.mark.parametrize("architecture", ["exact", "component-wise", "precision-weighted"])
def test_a_fuser_that_looks_at_the_embedding_is_refused(architecture) -> None:
    settings = {"dim": 8, "style_channels": 14}
    if architecture not in RIVALS:
        settings["sees_embedding"] = True
    with pytest.raises(ConfigError, match=r"sees_embedding|style channels"):
        EmbedderQuality(CompactEmbedder(SMALL), build_network(architecture, settings))
