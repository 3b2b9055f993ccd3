from __future__ import annotations

import itertools

import numpy as np
import pytest
from research.comparison.network_fuser import NetworkFuser

import research.rivals  # noqa: F401 - makes set-attention known
from probefusion.errors import InvalidInputError, MissingStyleError
from probefusion.nn.architectures import build_network
from probefusion.types import EmbeddingSet


@pytest.fixture
def fuser():
    network = build_network("set-attention", {"dim": 6, "style_channels": 3})
    return NetworkFuser(network, name="set-attention")


def images(count: int) -> EmbeddingSet:
    rng = np.random.default_rng(1)
    return EmbeddingSet(
        embeddings=rng.standard_normal((count, 6)) * 3, style=rng.random((count, 3, 2))
    )


def test_ragged_sets_are_each_fused_alone(fuser) -> None:
    whole = images(11)
    offsets = [0, 3, 4, 7, 11]
    together = fuser.fuse_many(whole, offsets)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for index, (start, stop) in enumerate(itertools.pairwise(offsets)):
        assert np.allclose(fuser.fuse(whole[start:stop]).vector, together[index], atol=1e-5)


def test_there_is_no_state_and_no_chunking(fuser) -> None:
    whole = images(4)
    for refused in (lambda: fuser.encode(whole), lambda: fuser.fuse(whole, chunk_size=2)):
        with pytest.raises(InvalidInputError, match="whole set at once"):
            refused()


def test_sets_are_checked(fuser) -> None:
    with pytest.raises(MissingStyleError):
        fuser.fuse(EmbeddingSet(embeddings=np.ones((2, 6))))


def test_fingerprint_follows_the_parameters() -> None:
    prints = {
        NetworkFuser(
            build_network(
                "recurrent", {"dim": 6, "style_channels": 3}, rng=np.random.default_rng(seed)
            ),
            name="recurrent",
        ).fingerprint
        for seed in (0, 0, 1)
    }
    assert len(prints) == 2
