"""One last layer for two teachers: fitted, joined and cut to the old number of dimensions."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from research.compact_embedder.network import (  # noqa: E402
    CompactEmbedder,
    CompactEmbedderConfig,
)
from research.compact_embedder.relearn import as_pixels  # noqa: E402
from research.compact_embedder.two_teachers import (  # noqa: E402
    features_of,
    fitted_layer,
    joined_layer,
    with_layer,
)

from probefusion.errors import ConfigError, ShapeError  # noqa: E402

CONFIG = CompactEmbedderConfig(dim=6, widths=(4, 6, 8, 10), depths=(1, 1, 1), head=12)


def random_layer(rng: np.random.Generator, dim: int, features: int = 12):
    weight = torch.from_numpy(rng.standard_normal((dim, features)))
    return weight, torch.from_numpy(rng.standard_normal(dim))


def test_a_fitted_layer_finds_the_layer_that_made_the_targets() -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((300, 12)))
    weight, bias = random_layer(rng, 5)
    found = fitted_layer(features, features @ weight.T + bias, ridge=1e-9)
    assert torch.allclose(found[0], weight, atol=1e-5)
    assert torch.allclose(found[1], bias, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_joined_similarities_are_the_weighted_mean_where_the_dimensions_suffice(share) -> None:
    rng = np.random.default_rng(1)
    features = torch.from_numpy(rng.standard_normal((200, 12)))
    # Both layers have rank 3, so that the six numbers of the first hold them both; no bias, lengths alike.
    turned = [np.linalg.qr(rng.standard_normal((12, 3)))[0].T for _ in range(2)]
    first = (
        torch.from_numpy(np.concatenate([turned[0], np.zeros((3, 12))])),
        torch.zeros(6).double(),
    )
    second = torch.from_numpy(turned[1]), torch.zeros(3).double()
    joined = joined_layer(first, second, features, share=share)
    assert joined[0].shape == (6, 12)
    got = (features @ joined[0].T) @ (features @ joined[0].T).T
    one, other = features @ first[0].T, features @ second[0].T
    wanted = (1 - share) * one @ one.T + share * other @ other.T
    assert torch.allclose(got, wanted, atol=1e-8)


def test_without_a_share_nothing_changes_but_the_axes() -> None:
    rng = np.random.default_rng(2)
    crops = rng.integers(0, 256, (40, 112, 112, 3)).astype(np.uint8)
    network = CompactEmbedder(CONFIG, rng=rng).train()
    with torch.no_grad():
        network(as_pixels(crops))
    features = features_of(network, crops)
    targets = torch.from_numpy(rng.standard_normal((40, 5)))
    changed = with_layer(network, features, targets, share=0.0)
    pixels = as_pixels(crops)
    with torch.no_grad():
        before, after = network.eval()(pixels), changed.eval()(pixels)
    assert torch.allclose(before @ before.T, after @ after.T, atol=1e-4)
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), atol=1e-4)
    both = with_layer(network, features, targets, share=0.5)
    assert not torch.allclose(both.eval()(pixels).norm(dim=1), before.norm(dim=1), atol=1e-3)


def test_wrong_shares_and_too_few_faces_are_refused() -> None:
    rng = np.random.default_rng(3)
    features = torch.from_numpy(rng.standard_normal((5, 12)))
    first, second = random_layer(rng, 6), random_layer(rng, 4)
    with pytest.raises(ConfigError, match="share"):
        joined_layer(first, second, features, share=1.2)
    with pytest.raises(ShapeError, match="at least 6"):
        joined_layer(first, second, features, share=0.5)
