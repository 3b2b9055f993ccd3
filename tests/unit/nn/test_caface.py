"""CAFace as a network: shapes, state, gradients, first values, the training pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.errors import ConfigError, DtypeError, EmptySetError, ShapeError
from probefusion.nn import CAFace, CAFaceConfig, TrainableFuser

D, C, M = 16, 12, 4


def network(seed=0, **settings):
    """A small network whose style path is not silent (its first weights are zeros)."""
    built = CAFace(
        CAFaceConfig(dim=D, style_channels=C, **settings), rng=np.random.default_rng(seed)
    )
    torch.nn.init.normal_(
        built.style_maker.cfc, generator=torch.Generator().manual_seed(seed), std=0.3
    )
    return built.eval()


def images(num_sets=2, num_images=7, seed=1):
    rng = np.random.default_rng(seed)
    embeddings = 20 * rng.standard_normal((num_sets, num_images, D)).astype(np.float32)
    style = rng.standard_normal((num_sets, num_images, C, 2)).astype(np.float32)
    return torch.from_numpy(embeddings), torch.from_numpy(style)


@pytest.mark.parametrize("num_images", [1, 2, 7])
@pytest.mark.parametrize("per_dimension", [True, False])
@torch.no_grad()
def test_shapes_and_shares(num_images, per_dimension):
    fuser = network(per_dimension_weights=per_dimension)
    embeddings, style = images(2, num_images)
    summary = fuser.encode(embeddings, style)
    fused, cluster_weight = fuser.finish(summary)
    assert summary.mass.shape == (2, M)
    assert summary.cluster_embedding.shape == (2, M, D)
    assert summary.cluster_style.shape == (2, M, 128)
    assert summary.assignment.shape == (2, M, num_images)
    assert fused.shape == (2, D)
    assert cluster_weight.shape == (2, M, D if per_dimension else 1)
    torch.testing.assert_close(summary.assignment.sum(1), torch.ones(2, num_images))
    torch.testing.assert_close(cluster_weight.sum(1), torch.ones_like(cluster_weight[:, 0]))
    torch.testing.assert_close(summary.mass, summary.assignment.sum(2))
    assert torch.isfinite(fused).all()
    assert torch.equal(fuser(embeddings, style), fused)


@torch.no_grad()
def test_mass_is_unclipped_and_sums_are_clipped():
    fuser = network()
    embeddings, style = images(1, 1)
    summary = fuser.encode(embeddings, style)
    assert summary.mass.max() < 1
    direction = embeddings[0, 0] / (embeddings[0, 0].norm() + 1e-5)
    torch.testing.assert_close(summary.cluster_embedding[0], summary.mass[0, :, None] * direction)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
@torch.no_grad()
def test_extreme_lengths_stay_finite(scale):
    embeddings, style = images()
    assert torch.isfinite(network()(scale * embeddings, style)).all()


@torch.no_grad()
def test_a_nan_comes_out_as_nan_in_its_own_set_only():
    embeddings, style = images()
    embeddings[0, 3, 5] = float("nan")
    fused = network()(embeddings, style)
    assert fused[0].isnan().any()
    assert fused[1].isfinite().all()


@torch.no_grad()
def test_sets_of_a_batch_do_not_meet():
    embeddings, style = (values.double() for values in images(3))
    fuser = network().double()
    alone = torch.cat([fuser(embeddings[i : i + 1], style[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(fuser(embeddings, style), alone, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_order_of_batches_changes_nothing():
    fuser = network().double()
    embeddings, style = (values.double() for values in images(2, 9))
    parts = [
        fuser.encode(embeddings[:, start:end], style[:, start:end])
        for start, end in ((0, 4), (4, 6), (6, 9))
    ]

    def fused(order):
        state = None
        for index in order:
            state = fuser.update(state, parts[index])
        return fuser.finish(state)[0]

    expected = fused((0, 1, 2))
    for order in ((0, 2, 1), (2, 1, 0), (1, 2, 0)):
        torch.testing.assert_close(fused(order), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_first_batch_is_the_state_as_it_is():
    fuser = network()
    batch = fuser.encode(*images())
    state = fuser.update(None, batch)
    for name in state._fields:
        assert torch.equal(getattr(state, name), getattr(batch, name))


@torch.no_grad()
def test_no_call_leaves_anything_behind():
    fuser = network()
    first, other = images(seed=1), images(seed=2)
    before = {name: value.clone() for name, value in fuser.state_dict().items()}
    expected = fuser(*first)
    fuser.update(fuser.encode(*other), fuser.encode(*first))
    fuser.training_pass(*images(2, 8), prefixes=(2,))
    assert torch.equal(fuser(*first), expected)
    assert all(torch.equal(value, before[name]) for name, value in fuser.state_dict().items())


def test_update_carries_gradient_through_mass_above_and_below_the_line():
    fuser = network().double()
    state, batch = (fuser.encode(*(v.double() for v in images(seed=s))) for s in (1, 2))
    old, new = (values.mass.detach().clone().requires_grad_() for values in (state, batch))
    state, batch = state._replace(mass=old), batch._replace(mass=new)
    difference = (state.cluster_embedding - batch.cluster_embedding).detach().sum(-1)
    updated = fuser.update(state, batch)
    updated.cluster_embedding.sum().backward()
    # d/dA of (A F + B G) / (A + B) is (F - G) B / (A + B)^2; d/dB has the other sign and A.
    total = (old + new).detach() ** 2
    torch.testing.assert_close(old.grad, difference * new.detach() / total, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(new.grad, -difference * old.detach() / total, rtol=1e-6, atol=1e-12)


def test_the_divisor_of_the_cluster_sums_carries_no_gradient():
    fuser = network()
    embeddings, style = images(1, 40)
    embeddings = embeddings[:, :1].expand(-1, 40, -1)
    summary = fuser.encode(embeddings, style)
    assert (summary.mass > 1).all()
    # All unit embeddings are equal, so F is that vector whatever the shares are: only with a
    # detached divisor does its gradient differ from zero.
    loss = (summary.cluster_embedding[0, 0] * embeddings[0, 0]).sum()
    (gradient,) = torch.autograd.grad(
        loss, fuser.fusion_net.clustering_layer.group_token, retain_graph=True
    )
    assert gradient.abs().max() > 1e-4
    (gradient,) = torch.autograd.grad(
        summary.mass[0, 0], fuser.fusion_net.clustering_layer.group_token
    )
    assert gradient.abs().max() > 1e-4


def test_every_parameter_is_trained():
    fuser = network().train()
    made = fuser.training_pass(*images(3, 8), prefixes=(2, 4))
    sum(part.square().sum() for part in made).backward()
    silent = [name for name, value in fuser.named_parameters() if value.grad is None]
    assert not silent


def test_first_values():
    fuser = CAFace()
    centres = fuser.fusion_net.clustering_layer.group_token[0]
    torch.testing.assert_close(centres @ centres.T, torch.eye(M), rtol=0, atol=1e-5)
    assert not fuser.style_maker.cfc.any()
    assert fuser.style_maker.relu.weight.tolist() == [0.25]
    assert fuser.norm_emb.scale.item() == pytest.approx(0.1)
    assert [block.skip_connect_gate.item() for block in list(fuser.fusion_net.conf_mlp)[:-1]] == [
        1,
        1,
    ]
    linears = [layer for layer in fuser.fusion_net.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(linears) == 20
    assert not any(layer.bias.any() for layer in linears)
    drawn = torch.cat([layer.weight.flatten() for layer in linears])
    assert drawn.std().item() == pytest.approx(0.02, rel=0.01)
    assert fuser.style_maker.linear.weight.abs().max() <= 384**-0.5


def test_rows_of_many_centres_have_length_one():
    centres = network(num_clusters=200).fusion_net.clustering_layer.group_token
    torch.testing.assert_close(centres.norm(dim=-1), torch.ones(1, 200))


def test_first_values_come_from_the_given_generator_only():
    torch_state = torch.get_rng_state()

    def first(rng):
        return CAFace(rng=rng).fusion_net.clustering_layer.group_token

    assert torch.equal(first(np.random.default_rng(5)), first(np.random.default_rng(5)))
    assert not torch.equal(first(np.random.default_rng(5)), first(np.random.default_rng(6)))
    assert torch.equal(first(None), first(np.random.default_rng(0)))
    assert torch.equal(torch.get_rng_state(), torch_state)


@torch.no_grad()
def test_training_pass_gives_what_single_calls_give():
    fuser = network()
    embeddings, style = images(3, 8)
    made = fuser.training_pass(embeddings, style, prefixes=(1, 3))
    assert made.prefix_fused.shape == (2, 2, 3, D)
    for group in range(2):
        for index, length in enumerate((1, 3)):
            part = slice(4 * group, 4 * group + length)
            expected = fuser(embeddings[:, part], style[:, part])
            torch.testing.assert_close(made.prefix_fused[group, index], expected)
    first, second = (
        fuser.encode(embeddings[:, part], style[:, part]) for part in (slice(4), slice(4, 8))
    )
    torch.testing.assert_close(made.sequential, fuser.finish(fuser.update(first, second))[0])
    torch.testing.assert_close(made.joint, fuser(embeddings, style))


def test_training_pass_calls_the_batch_norms_in_official_order():
    fuser = network().train()
    norms, styles = [], []
    fuser.norm_emb.register_forward_pre_hook(lambda _, given: norms.append(given[0]))
    fuser.style_maker.register_forward_pre_hook(lambda _, given: styles.append(given[0]))
    embeddings, style = images(3, 8)
    fuser.training_pass(embeddings, style, prefixes=(2, 3))
    length = embeddings.norm(dim=-1, keepdim=True)
    first, second = length[:, :4], length[:, 4:]
    expected = [first[:, :2], second[:, :2], first[:, :3], second[:, :3], first, second, length]
    assert len(norms) == len(expected)
    for given, value in zip(norms, expected, strict=True):
        torch.testing.assert_close(given, value)
    assert [given.tolist() for given in styles] == [style[:, :4].tolist(), style[:, 4:].tolist()]


def test_it_is_a_trainable_fuser():
    assert isinstance(network(), TrainableFuser)


@pytest.mark.parametrize("prefixes", [(), (0, 2), (2, 5)])
def test_prefixes_a_group_does_not_have_are_refused(prefixes):
    with pytest.raises(ConfigError, match="prefixes: expected lengths from 1 to 4"):
        network().training_pass(*images(2, 8), prefixes=prefixes)


def test_an_odd_number_of_images_has_no_two_groups():
    with pytest.raises(ShapeError, match="even number of images"):
        network().training_pass(*images(2, 7), prefixes=(2,))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e, s: (e[0], s), ShapeError, r"embeddings: .*\(B, N, 16\), got \(7, 16\)"),
        (lambda e, s: (e[..., :-1], s), ShapeError, r"embeddings: .*got \(2, 7, 15\)"),
        (lambda e, s: (e, s[..., 0]), ShapeError, r"style: .*\(B, N, 12, 2\), got \(2, 7, 12\)"),
        (lambda e, s: (e, s[:, :, :-1]), ShapeError, r"style: .*got \(2, 7, 11, 2\)"),
        (lambda e, s: (e, s[:, 1:]), ShapeError, r"one entry per image \(2, 7\), got \(2, 6\)"),
        (lambda e, s: (e[:, :0], s[:, :0]), EmptySetError, "at least one image"),
        (lambda e, s: (e.int(), s), DtypeError, "embeddings: .*torch.int32"),
        (lambda e, s: (e, s.int()), DtypeError, "style: .*torch.int32"),
    ],
)
@pytest.mark.parametrize("method", ["encode", "forward", "training_pass"])
def test_bad_tensors_are_refused(method, change, error, message):
    with pytest.raises(error, match=message):
        getattr(network(), method)(*change(*images()))
