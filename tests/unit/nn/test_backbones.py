"""Face embedders: outputs, channel order, style statistics, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import DtypeError, ShapeError
from probefusion.nn import BACKBONES, ir_18, iresnet18
from probefusion.nn.backbone import style_statistics


@pytest.fixture(scope="module")
def faces():
    return torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=[ir_18, iresnet18])
def network(request):
    return request.param().eval()


@torch.no_grad()
def test_output_shapes(network, faces):
    embedding, style = network(faces)
    assert embedding.shape == (2, 512)
    assert style.shape == (2, 384, 2)
    assert (style[..., 1] > 0).all()
    apart = (network(faces[1:]).embedding - embedding[1:]).abs().max()
    assert apart < 1e-4 * embedding.abs().max()  # rounding of 18 layers; kernels differ by batch


@torch.no_grad()
def test_the_length_of_the_embedding_is_kept(network, faces):
    lengths = network(faces).embedding.norm(dim=1)
    assert (lengths - 1).abs().min() > 1e-3


@torch.no_grad()
def test_only_the_iresnet_reverses_the_channels(faces):
    seen = []
    for network, stem in ((ir_18(), "input_layer"), (iresnet18(), "conv1")):
        network.eval().get_submodule(stem).register_forward_pre_hook(
            lambda _, given: seen.append(given[0])
        )
        network(faces)
    assert torch.equal(seen[0], faces)
    assert torch.equal(seen[1], faces[:, [2, 1, 0]])


def test_style_is_mean_and_unbiased_std():
    maps = np.random.default_rng(0).standard_normal((2, 5, 4, 3)).astype(np.float32)
    wide = maps.astype(np.float64)
    expected = np.stack([wide.mean((2, 3)), wide.std((2, 3), ddof=1)], axis=-1)
    # 12 roundings of 6e-8 at numbers of 3 are 2e-6; the biased deviation is 4e-2 away.
    found = style_statistics(torch.from_numpy(maps))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_depth_of_the_name(name):
    with torch.device("meta"):
        network = BACKBONES[name]()
    convolutions = sum(
        isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3)
        for layer in network.modules()
    )
    # Stem and two convolutions per unit; the head adds one layer to the count in the name.
    assert convolutions + 1 == {"ir_101": 100, "iresnet100": 100}.get(name, int(name[-2:]))


@pytest.mark.parametrize(
    "shape", [(3, 112, 112), (1, 1, 112, 112), (1, 112, 112, 3), (1, 3, 96, 96)]
)
def test_other_shapes_are_refused(network, shape):
    with pytest.raises(ShapeError, match=r"images: expected shape \(B, 3, 112, 112\), got"):
        network(torch.zeros(shape))


def test_pixels_that_were_not_normalised_are_refused(network):
    with pytest.raises(DtypeError, match=r"images: .*uint8"):
        network(torch.zeros(1, 3, 112, 112, dtype=torch.uint8))
