"""Weights learned again: what may change, what may not, and what the sets are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="the variants need OpenCV")

from research.real_faces.refit import halved, refit, without_correction
from research.real_faces.sets import DEV_FOLD, PersonSets
from research.real_faces.variants import NUM_MILD, NUM_SEVERE, Variants, draw_families

from probefusion.nn.architectures import build_network
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.starting_point import StartingPoint, read_starting_point

DIM, CHANNELS = 16, 6


@pytest.fixture
def start(tmp_path) -> StartingPoint:
    """A fuser of the fast size whose correction is not zero."""
    settings = {"dim": DIM, "style_channels": CHANNELS, "correction_share": 1.0}
    network = build_network("exact-fast", settings, rng=np.random.default_rng(1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    export_fuser(
        network,
        tmp_path / "start",
        name="exact-fast.drawn-test.r1",
        architecture="exact-fast",
        embedder="drawn@1",
        licence="none",
        training={"data": "drawn", "config": {}},
    )
    return read_starting_point(tmp_path / "start")


@pytest.fixture
def variants(rng) -> Variants:
    """Twelve people of two to four images, of which the severe variants are mostly noise."""
    people = [f"lfw/p{number}" for number in range(12) for _ in range(2 + number % 3)]
    directions = {name: rng.standard_normal(DIM) for name in people}
    own = np.stack([directions[name] for name in people])[:, None]
    noise = rng.standard_normal((len(people), NUM_MILD + NUM_SEVERE + 2, DIM))
    amount = np.array([0.2] * NUM_MILD + [2.0] * NUM_SEVERE + [0.05] * 2)[:, None]
    style = np.repeat((amount > 1).astype(float)[None], len(people), axis=0)[..., None]
    return Variants(
        embeddings=(own + amount * noise).astype(np.float16),
        style=np.broadcast_to(style, (*noise.shape[:2], CHANNELS, 2)).astype(np.float16),
        people=tuple(people),
        embedder="drawn@1",
    )


def fused(network, variants: Variants) -> torch.Tensor:
    with torch.no_grad():
        return network(
            torch.from_numpy(variants.embeddings[:, :5].astype(np.float32)),
            torch.from_numpy(variants.style[:, :5].astype(np.float32)),
        )


def test_it_begins_as_the_start_with_half_of_its_correction(start, variants) -> None:
    with_all, without = start.network(), halved(start)
    without.config = replace(without.config, correction_share=0.0)
    expected = (fused(with_all, variants) + fused(without, variants)) / 2
    assert torch.allclose(fused(halved(start), variants), expected, atol=1e-5)
    assert not torch.allclose(fused(with_all, variants), expected, atol=1e-3)


def test_without_correction_is_the_start_with_a_share_of_nothing(start, variants) -> None:
    nothing = halved(start)
    nothing.config = replace(nothing.config, correction_share=0.0)
    network = without_correction(start)
    assert torch.allclose(fused(network, variants), fused(nothing, variants), atol=1e-6)
    assert not any(name.startswith(("correct", "refine")) for name in network.state_dict())


def test_only_the_weights_are_learned_and_they_learn(start, variants) -> None:
    network = halved(start)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = refit(network, variants, steps=60, size=6)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"weight.weight", "weight.bias"}


def test_sets_leave_out_the_gallery_image_and_the_people_kept_for_measuring(variants, rng) -> None:
    sets = PersonSets(variants, rng)
    others = {name for name in variants.people if fold_of(name.split("/")[1]) != DEV_FOLD}
    assert 0 < sets.num_people == len(others) < 12
    for _ in range(20):
        batch = sets.draw(4)
        for probes, gallery, clean in zip(batch.probes, batch.gallery, batch.clean, strict=True):
            assert gallery[0] not in probes[:, 0]
            assert set(probes[:, 0]) <= set(clean)
            assert gallery[0] in clean
            names = {variants.people[row] for row in clean}
            assert len(names) == 1
            assert names <= others
            assert probes[:, 1].max() < NUM_MILD + NUM_SEVERE


def test_variants_go_from_mild_to_severe_and_end_with_the_clean_pair(rng) -> None:
    image = rng.integers(60, 196, (14, 14, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    found = draw_families(image, np.random.default_rng(2))
    assert found.shape == (18, 112, 112, 3)
    assert np.array_equal(found[-2], image)
    assert np.array_equal(found[-1], image[:, ::-1])

    def far(some: np.ndarray) -> float:
        pairs = np.stack([some - image.astype(float), some - image[:, ::-1].astype(float)])
        return float(np.median(np.abs(pairs).mean(axis=(2, 3, 4)).min(axis=0)))

    assert far(found[NUM_MILD:-2]) > far(found[4:NUM_MILD])
