"""Style Input Maker: the combination of mean and std, and the steps of the norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.nn.style_input import NormEmbedding, StyleMaker, norm_table


def test_table_is_the_sinusoid_of_the_paper():
    table = norm_table()
    assert table.shape == (61, 64)
    row, pair = np.meshgrid(np.arange(61), np.arange(32), indexing="ij")
    angle = row * np.exp(-2 * pair * np.log(1e4) / 64)
    np.testing.assert_allclose(table[:, 0::2], np.sin(angle), atol=1e-5)
    np.testing.assert_allclose(table[:, 1::2], np.cos(angle), atol=1e-5)


@pytest.mark.parametrize(
    ("standard", "row"),
    [
        (0.0, 30),
        (0.099, 30),
        (-0.099, 30),  # toward zero: flooring would give 29
        (0.101, 31),
        (-0.101, 29),
        (1.55, 45),
        (-1.55, 15),
        (2.999, 59),
        (3.001, 60),
        (-3.001, 0),
        (1000.0, 60),
        (-1000.0, 0),
    ],
)
@torch.no_grad()
def test_a_norm_is_clipped_and_cut_toward_zero(standard, row):
    embedding = NormEmbedding().eval()
    embedding.norm_bn.running_mean.fill_(20.0)
    embedding.norm_bn.running_var.fill_(4.0)
    made = embedding(torch.full((1, 1, 1), 20.0 + 2.0 * standard))
    torch.testing.assert_close(made[0, 0], 0.1 * norm_table()[row])


@torch.no_grad()
def test_norms_are_standardised_over_all_images_in_training():
    embedding = NormEmbedding().train()
    norm = torch.tensor([10.0, 20.0, 30.0, 40.0]).reshape(2, 2, 1)
    made = embedding(norm)
    # Standardised (biased) they are -1.34, -0.45, 0.45, 1.34.
    torch.testing.assert_close(made.flatten(0, 1), 0.1 * norm_table()[[17, 26, 34, 43]])
    assert embedding.norm_bn.running_mean.item() == pytest.approx(2.5)


@torch.no_grad()
def test_style_combines_mean_and_std_per_channel():
    maker = StyleMaker(3).eval()
    maker.cfc.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]]))
    style = torch.tensor([[[[5.0, 7.0], [3.0, 4.0], [2.0, 0.5]]]])
    combined = torch.tensor([5.0, 8.0, 0.25 * -1.5])
    expected = maker.linear(combined) / np.sqrt(1 + 1e-5)
    torch.testing.assert_close(maker(style)[0, 0], expected)


@torch.no_grad()
def test_an_untrained_maker_ignores_the_style():
    maker = StyleMaker(3).eval()
    style = torch.arange(24.0).reshape(2, 2, 3, 2)
    made = maker(style)
    assert made.shape == (2, 2, 64)
    assert torch.equal(made, made[:1, :1].expand_as(made))
