"""The exported ONNX graphs and the runtime against arrays of the official implementation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from probefusion.nn import CAFace, config_of_official_state_dict, load_official_state_dict
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser


@pytest.fixture(scope="module")
def official_fuser(golden, tmp_path_factory):
    """The golden weights as a fuser folder, opened by the runtime."""
    made = {}

    def build(name):
        if name not in made:
            state = {key: torch.from_numpy(array) for key, array in golden(name).items()}
            network = CAFace(config_of_official_state_dict(state))
            load_official_state_dict(network, state)
            folder = tmp_path_factory.mktemp("golden") / name
            export_fuser(
                network,
                folder,
                name=f"official.golden-{name}.r1",
                architecture="official",
                embedder=None,
                licence="random weights",
                training={},
                half_weights=False,
            )
            made[name] = load_fuser(folder)
        return made[name]

    return build


def sets_of(arrays) -> list[EmbeddingSet]:
    style = np.concatenate([arrays["input.style_stage2"], arrays["input.style_stage3"]], axis=2)
    embeddings = arrays["input.embedding"]
    return [EmbeddingSet(embeddings=e, style=s) for e, s in zip(embeddings, style, strict=True)]


def read(fuser, state) -> dict[str, np.ndarray]:
    """What the golden files hold of a state; the fused vector as the graph gives it."""
    mass = state.mass[:, None]
    return {
        "mass": mass,
        "cluster_embedding": state.sums / mass,
        "cluster_style": state.style_sums / mass,
        "fused": fuser._finish(state.mass[None], state.sums[None], state.style_sums[None]).fused[0],
    }


def whole(fuser, images) -> dict[str, np.ndarray]:
    state = fuser.encode(images)
    shares = fuser._contribute(images).shares
    clip = state.mass / np.maximum(state.mass, 1)
    return read(fuser, state) | {"assignment": (shares / clip).T}


def steps(fuser, images, borders) -> list[dict[str, np.ndarray]]:
    """States after each block of images, in order of arrival."""
    state, found = None, []
    for start, stop in borders:
        part = fuser.encode(images[start:stop])
        state = part if state is None else state + part
        found.append(read(fuser, state))
    return found


def pairs(*cuts) -> list[tuple[int, int]]:
    return list(itertools.pairwise(cuts))


CASES = {
    "cases": ("weights", {"chunks_5_5_3": pairs(0, 5, 10, 13)}),
    "cases_n300": ("weights", {"chunks_of_64": pairs(0, 64, 128, 192, 256, 300)}),
    "cases_g8_scalar_depth3": ("weights_g8_scalar_depth3", {"chunks_4_4_3": pairs(0, 4, 8, 11)}),
}
CASES["cases"][1]["chunks_3_5_5_reversed"] = pairs(0, 5, 10, 13)[::-1]
CASES["cases"][1]["one_by_one"] = pairs(*range(14))

# Not outputs of the runtime: inner values, which the PyTorch tests compare, and the losses.
INNER = ("output.style", "output.norm_embedding", "output.loss.")


@pytest.mark.parametrize("name", CASES)
def test_graphs(name, golden, official_fuser, assert_all_match, tolerances) -> None:
    arrays = golden(name)
    weights, sequences = CASES[name]
    fuser = official_fuser(weights)
    expected = {
        key: array
        for key, array in arrays.items()
        if key.startswith("output.")
        and not key.startswith(INNER)
        and not key.endswith(".cluster_weight")  # the graph gives only its mean, tested below
    }
    found: dict[str, list[np.ndarray]] = {}
    for images in sets_of(arrays):
        values = {f"full.{k}": v for k, v in whole(fuser, images).items()}
        values |= {f"single.{k}": v for k, v in whole(fuser, images[:1]).items()}
        for sequence, borders in sequences.items():
            for index, step in enumerate(steps(fuser, images, borders)):
                values |= {f"{sequence}.step{index}.{k}": v for k, v in step.items()}
        for key, value in values.items():
            found.setdefault(f"output.{key}", []).append(value)
    actual = {key: np.stack(found[key]) for key in expected}
    assert_all_match(actual, expected, lambda _: tolerances.GOLDEN)


@pytest.mark.parametrize("name", CASES)
def test_templates_and_weights(name, golden, official_fuser, deviation, tolerances) -> None:
    arrays = golden(name)
    fuser = official_fuser(CASES[name][0])
    for row, images in enumerate(sets_of(arrays)):
        fused = arrays["output.full.fused"][row]
        template = fuser.fuse(images)
        assert deviation(template.vector, fused / np.linalg.norm(fused)) < tolerances.GOLDEN
        if "output.full.cluster_weight" not in arrays:
            continue
        assignment = arrays["output.full.assignment"][row]
        clip = np.maximum(assignment.sum(axis=1), 1)
        gain = arrays["output.full.cluster_weight"][row].mean(axis=1) / clip
        weights = gain @ assignment
        assert deviation(template.weights, weights / weights.sum()) < tolerances.GOLDEN


def test_many_sets_at_once(golden, official_fuser, deviation, tolerances) -> None:
    arrays = golden("cases")
    both = EmbeddingSet.concatenate(sets_of(arrays))
    templates = official_fuser("weights").fuse_many(both, [0, 13, 26])
    fused = arrays["output.full.fused"]
    units = fused / np.linalg.norm(fused, axis=1, keepdims=True)
    assert deviation(templates, units) < tolerances.GOLDEN


def test_pipeline_from_ir_101(golden, official_fuser, deviation, tolerances) -> None:
    """Raw embeddings and style of IR-101 through the runtime; the network itself is tested beside."""
    arrays = golden("backbones")
    style = np.concatenate([arrays["ir_101.style_stage2"], arrays["ir_101.style_stage3"]], axis=1)
    images = EmbeddingSet(
        embeddings=arrays["ir_101.unit_embedding"] * arrays["ir_101.norm"], style=style
    )
    fused = arrays["pipeline.ir_101.fused"][0]
    vector = official_fuser("weights").fuse(images).vector
    assert deviation(vector, fused / np.linalg.norm(fused)) < tolerances.GOLDEN
