"""CAFace against arrays of the official implementation: every `output.*` of every file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.nn import CAFace, config_of_official_state_dict, load_official_state_dict
from probefusion.training.losses import centre_loss, memory_loss


def as_arrays(values):
    return {name: value.detach().numpy() for name, value in values.items()}


def outputs_of(arrays):
    return {name: array for name, array in arrays.items() if name.startswith("output.")}


@pytest.fixture
def build(golden):
    def network(name, **settings):
        state = {key: torch.from_numpy(array) for key, array in golden(name).items()}
        built = CAFace(config_of_official_state_dict(state, **settings))
        load_official_state_dict(built, state)
        return built

    return network


def inputs_of(arrays):
    embeddings = torch.from_numpy(arrays["input.embedding"])
    style = np.concatenate([arrays["input.style_stage2"], arrays["input.style_stage3"]], axis=2)
    return embeddings, torch.from_numpy(style)


def one_call(network, embeddings, style):
    summary = network.encode(embeddings, style)
    fused, cluster_weight = network.finish(summary)
    return {
        "assignment": summary.assignment,
        "cluster_embedding": summary.cluster_embedding,
        "cluster_style": summary.cluster_style,
        "cluster_weight": cluster_weight,
        "fused": fused,
    }


def sequence(network, embeddings, style, bounds):
    """What is known after each block of images; `bounds` are (start, end) in order of arrival."""
    state, steps = None, []
    for start, end in bounds:
        batch = network.encode(embeddings[:, start:end], style[:, start:end])
        state = network.update(state, batch)
        steps.append(
            {
                "mass": state.mass.unsqueeze(-1),
                "cluster_embedding": state.cluster_embedding,
                "cluster_style": state.cluster_style,
                "fused": network.finish(state)[0],
            }
        )
    return steps


def named(prefix, values):
    return {f"output.{prefix}.{name}": value for name, value in values.items()}


def tokens(network, embeddings, style):
    norm = embeddings.norm(dim=-1, keepdim=True)
    return {
        "output.style": network.style_maker(style),
        "output.norm_embedding": network.norm_emb(norm),
    }


@torch.no_grad()
def test_released_size(golden, build, assert_all_match, tolerances):
    arrays = golden("cases")
    network = build("weights").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 786_524
    embeddings, style = inputs_of(arrays)
    centres = torch.from_numpy(arrays["input.class_centre"])

    actual = tokens(network, embeddings, style)
    actual |= named("full", one_call(network, embeddings, style))
    actual |= named("single", one_call(network, embeddings[:, :1], style[:, :1]))
    blocks = [(0, 5), (5, 10), (10, 13)]
    for name, bounds in (("chunks_5_5_3", blocks), ("chunks_3_5_5_reversed", blocks[::-1])):
        for index, step in enumerate(sequence(network, embeddings, style, bounds)):
            actual |= named(f"{name}.step{index}", step)
    steps = sequence(network, embeddings, style, [(index, index + 1) for index in range(13)])
    for index in (0, 1, 12):
        actual |= named(f"one_by_one.step{index}", steps[index])
    made = network.training_pass(embeddings[:, :12], style[:, :12], prefixes=(2, 4, 6))
    actual |= {
        "output.loss.centre": centre_loss(made.prefix_fused, centres),
        "output.loss.memory": memory_loss(made.sequential, made.joint, divide_by_batch=True),
        "output.loss.memory_fused": made.sequential,
        "output.loss.single_fused": made.joint,
    }

    assert_all_match(
        as_arrays(actual),
        outputs_of(arrays),
        lambda name: tolerances.LOSS if name.startswith("output.loss.") else tolerances.GOLDEN,
    )


@torch.no_grad()
def test_three_hundred_images(golden, build, assert_all_match, tolerances):
    arrays = golden("cases_n300")
    network = build("weights").eval()
    embeddings, style = inputs_of(arrays)
    full = one_call(network, embeddings, style)
    actual = named("full", {name: full[name] for name in ("assignment", "fused")})
    actual["output.single.fused"] = network(embeddings[:, :1], style[:, :1])
    bounds = [(start, min(start + 64, 300)) for start in range(0, 300, 64)]
    actual |= named("chunks_of_64.step4", sequence(network, embeddings, style, bounds)[4])
    assert_all_match(as_arrays(actual), outputs_of(arrays), lambda _: tolerances.GOLDEN)


@torch.no_grad()
def test_eight_clusters_three_blocks_one_weight_per_cluster(
    golden, build, assert_all_match, tolerances
):
    arrays = golden("cases_g8_scalar_depth3")
    network = build("weights_g8_scalar_depth3").eval()
    assert not network.config.per_dimension_weights
    embeddings, style = inputs_of(arrays)
    actual = tokens(network, embeddings, style)
    actual |= named("full", one_call(network, embeddings, style))
    actual |= named("single", one_call(network, embeddings[:, :1], style[:, :1]))
    for index, step in enumerate(sequence(network, embeddings, style, [(0, 4), (4, 8), (8, 11)])):
        actual |= named(f"chunks_4_4_3.step{index}", step)
    assert_all_match(as_arrays(actual), outputs_of(arrays), lambda _: tolerances.GOLDEN)


def test_training_step(golden, build, assert_all_match, tolerances):
    arrays = golden("training_step")
    network = build("weights", stochastic_depth=0.0).train()
    made = network.training_pass(*inputs_of(arrays))
    centre = centre_loss(made.prefix_fused, torch.from_numpy(arrays["input.class_centre"]))
    memory = memory_loss(made.sequential, made.joint, divide_by_batch=True)
    (centre + memory).backward()

    expected = outputs_of(arrays)
    actual = {"output.loss.centre": centre, "output.loss.memory": memory}
    parameters = dict(network.named_parameters())
    for key in expected:
        if key.startswith("output.grad."):
            actual[key] = parameters[key.removeprefix("output.grad.")].grad
    for name, norm in (("norm", network.norm_emb.norm_bn), ("style", network.style_maker.bn)):
        actual[f"output.bn.{name}.running_mean"] = norm.running_mean
        actual[f"output.bn.{name}.running_var"] = norm.running_var
    calls = network.norm_emb.norm_bn.num_batches_tracked
    assert int(calls) == 2 * 8 + 3
    actual["output.bn.norm.num_batches_tracked"] = calls
    assert_all_match(
        as_arrays(actual),
        expected,
        lambda name: tolerances.LOSS if name.startswith("output.loss.") else tolerances.TRAINING,
    )


def test_every_golden_file_has_its_test(golden_path):
    folder = golden_path("cases.safetensors").parent
    assert {path.name for path in folder.iterdir()} >= {
        "backbone_keys.json.gz",
        "backbones.safetensors",
        "cases.safetensors",
        "cases_g8_scalar_depth3.safetensors",
        "cases_n300.safetensors",
        "training_step.safetensors",
        "weights.safetensors",
        "weights_g8_scalar_depth3.safetensors",
    }
    # A new file of cases must come with a test above.
    assert {path.stem for path in folder.glob("cases*.safetensors")} == {
        "cases",
        "cases_g8_scalar_depth3",
        "cases_n300",
    }
