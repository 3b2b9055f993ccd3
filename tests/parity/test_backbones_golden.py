"""Face embedders against arrays of the official implementations, with weights made by a rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probefusion.nn import BACKBONES, CAFace, load_official_state_dict


@pytest.fixture(scope="module")
def embed(golden, made_state):
    """Runs a network of the given name on the four golden images."""
    pixels = golden("backbones")["input.image_uint8_hwc"].astype(np.float32)
    images = torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(0, 3, 1, 2).contiguous()

    @torch.no_grad()
    def run(name):
        with torch.device("meta"):
            network = BACKBONES[name]()
        network.load_state_dict(made_state(name), strict=True, assign=True)
        return network.eval()(images)

    return run


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_state_dict_keys_and_shapes(name, key_shapes):
    with torch.device("meta"):
        network = BACKBONES[name]()
    have = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert have == key_shapes[name]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbone(name, golden, embed, assert_all_match, tolerances):
    arrays = golden("backbones")
    embedding, style = embed(name)
    norm = embedding.norm(dim=1, keepdim=True)
    actual = {
        f"{name}.unit_embedding": (embedding / norm).numpy(),
        f"{name}.norm": norm.numpy(),
        f"{name}.style_stage2": style[:, :128].numpy(),
        f"{name}.style_stage3": style[:, 128:].numpy(),
    }
    if name == "ir_101":
        actual[f"pipeline.{name}.fused"] = fused_by_caface(golden, embedding, style)
    expected = {
        key: value
        for key, value in arrays.items()
        if key.startswith((f"{name}.", f"pipeline.{name}."))
    }
    assert_all_match(actual, expected, lambda _: tolerances.GOLDEN)


def test_no_array_belongs_to_an_unknown_backbone(golden, key_shapes):
    owners = {
        key.removeprefix("pipeline.").split(".")[0]
        for key in golden("backbones")
        if not key.startswith("input.")
    }
    assert owners == set(BACKBONES) == set(key_shapes)


@torch.no_grad()
def fused_by_caface(golden, embedding, style):
    network = CAFace().eval()
    weights = golden("weights")
    load_official_state_dict(network, {k: torch.from_numpy(v) for k, v in weights.items()})
    return network(embedding[None], style[None]).numpy()
