"""The two losses against their definition in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import ShapeError
from probefusion.training.losses import centre_loss, cosine_similarity, memory_loss


def draw(*shape, seed=0, scale=1.0):
    return torch.from_numpy(scale * np.random.default_rng(seed).standard_normal(shape))


def cosine(first, second):
    first, second = (
        values / (np.linalg.norm(values, axis=-1, keepdims=True) + 1e-5)
        for values in (first.numpy(), second.numpy())
    )
    return (first * second).sum(-1)


def test_cosine_adds_its_epsilon_to_both_lengths():
    short = draw(5, 8, scale=1e-5)
    made = cosine_similarity(short, short)
    np.testing.assert_allclose(made, cosine(short, short), rtol=1e-12)
    assert made.max() < 0.9
    assert cosine_similarity(torch.zeros(8), torch.ones(8)) == 0


def test_centre_loss_is_the_mean_over_groups_prefixes_and_people():
    fused, centres = draw(2, 3, 4, 8), draw(4, 8, seed=1)
    made = centre_loss(fused, centres)
    np.testing.assert_allclose(made, (1 - cosine(fused, centres)).mean(), rtol=1e-12)


def test_memory_loss_divides_once_more_only_when_told():
    first, second = draw(4, 8), draw(4, 8, seed=1)
    plain = memory_loss(first, second, divide_by_batch=False)
    np.testing.assert_allclose(plain, (1 - cosine(first, second)).mean(), rtol=1e-12)
    torch.testing.assert_close(memory_loss(first, second, divide_by_batch=True), plain / 4)


def test_memory_loss_sends_gradient_to_both_sides():
    first, second = draw(4, 8).requires_grad_(), draw(4, 8, seed=1).requires_grad_()
    memory_loss(first, second, divide_by_batch=True).backward()
    assert first.grad.abs().max() > 0
    assert second.grad.abs().max() > 0


def test_perfect_agreement_costs_nothing():
    centres = draw(4, 8)
    fused = (3 * centres).expand(2, 5, 4, 8)
    assert centre_loss(fused, centres).item() == pytest.approx(0, abs=2e-5)


def test_shapes_that_would_broadcast_silently_are_refused():
    with pytest.raises(ShapeError, match="prefix_fused, centres"):
        centre_loss(draw(2, 3, 4, 8), draw(1, 8))
    with pytest.raises(ShapeError, match="prefix_fused, centres"):
        centre_loss(draw(3, 4, 8), draw(4, 8))
    with pytest.raises(ShapeError, match="sequential, joint"):
        memory_loss(draw(4, 8), draw(1, 8), divide_by_batch=True)
    with pytest.raises(ShapeError, match="sequential, joint"):
        memory_loss(draw(2, 4, 8), draw(2, 4, 8), divide_by_batch=True)
