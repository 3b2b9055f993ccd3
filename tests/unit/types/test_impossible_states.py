"""States that no images can have given are refused, wherever they come from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from probefusion.errors import DtypeError, FileFormatError, InvalidInputError, ShapeError
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.types import EmbeddingSet, FusionState


def old_bytes(arrays: dict[str, np.ndarray], **facts: object) -> bytes:
    """A state as release 0.1 wrote it, without a hash."""
    told = {"num_images": 3, "fuser": "f@1", "embedder": None, **facts}
    metadata = {"kind": "fusion_state", "format_version": "1", "facts": json.dumps(told)}
    return save(arrays, metadata=metadata)


def arrays_of(mass: float = 2.5, width: int = 4) -> dict[str, np.ndarray]:
    return {
        "mass": np.array([mass, 0.5]),
        "sums": np.full((2, width), 0.25),
        "style_sums": np.ones((2, 3)),
    }


def person(seed: int, num_images: int) -> EmbeddingSet:
    rng = np.random.default_rng(seed)
    return EmbeddingSet(embeddings=rng.standard_normal(16) + rng.standard_normal((num_images, 16)))


def test_a_state_of_release_0_1_is_read() -> None:
    state = FusionState.from_bytes(old_bytes(arrays_of()))
    assert state.num_images == 3
    assert state.mass.tolist() == [2.5, 0.5]
    assert np.array_equal(state.sums, np.full((2, 4), 0.25))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"num_images": 3.7}, "num_images: expected a whole number, got 3.7"),
        ({"num_images": True}, "whole number"),
        ({"num_images": "3"}, "whole number"),
        ({"num_images": -3}, "0 or more"),
        ({"num_images": 0}, "sums of no images must be 0"),
        ({"fuser": 7}, "fuser: expected a text"),
        ({"embedder": 7}, "embedder: expected a text"),
        ({"surplus": 1}, "other parts than a state"),
    ],
)
def test_facts_that_cannot_be(facts: dict[str, object], said: str) -> None:
    with pytest.raises(FileFormatError, match=said):
        FusionState.from_bytes(old_bytes(arrays_of(), **facts), origin="p.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mass": np.array([1e300, 1.0])}, "cannot weigh 1e\\+300"),
        ({"mass": np.array([np.inf, 1.0])}, "finite"),
        ({"mass": np.array([0.0, 0.0])}, "no mass"),
        ({"mass": np.array([2, 1])}, "float64"),
        ({"mass": np.array([2.0, 1.0], np.float32)}, "float64"),
        ({"sums": np.zeros((2, 4))}, "all 0"),
        ({"sums": np.ones((2, 0))}, "at least one"),
        ({"sums": np.ones((3, 4))}, "one row per cluster"),
        ({"style_sums": np.ones((1, 3))}, "one row per cluster"),
        ({"other": np.ones(2)}, "other parts"),
    ],
)
def test_arrays_that_cannot_be(change: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(FileFormatError, match=said):
        FusionState.from_bytes(old_bytes({**arrays_of(), **change}), origin="p.safetensors")


def test_sums_of_known_fusers_fit_their_weights(tmp_path: Path) -> None:
    state = MeanFuser().encode(person(1, 5))
    with pytest.raises(InvalidInputError, match=r"of the fuser 'mean' weigh 5, got 5\.5"):
        replace(state, mass=np.array([5.5]))
    with pytest.raises(InvalidInputError, match="longer than 5 images"):
        replace(state, sums=3 * state.sums)
    with pytest.raises(ShapeError, match="no style sums"):
        replace(state, style_sums=np.ones((1, 3)))
    one = MeanFuser().encode(person(1, 1))
    with pytest.raises(InvalidInputError, match="shorter than one image"):
        replace(one, sums=0.5 * one.sums)
    weighted = NormWeightedFuser()
    heavy = replace(weighted.encode(person(1, 2)), mass=np.array([3e6]))
    with pytest.raises(InvalidInputError, match="at most 1e\\+06 each"):
        weighted.finish(heavy)


def test_numpy_counts_are_counts() -> None:
    state = replace(MeanFuser().encode(person(1, 5)), num_images=np.int64(5))
    assert type(state.num_images) is int
    with pytest.raises(DtypeError, match="whole number"):
        replace(state, num_images=5.0)


def test_the_last_image_left_must_be_one() -> None:
    fuser = MeanFuser()
    mine, other = person(1, 6), person(2, 5)
    whole = fuser.encode(mine)
    right = whole - fuser.encode(mine[:5])
    assert np.allclose(right.sums, fuser.encode(mine[5:]).sums, atol=1e-12)
    with pytest.raises(InvalidInputError, match="no sum of 1 images"):
        whole - fuser.encode(other)


def test_sums_do_not_remember_whose_they_are() -> None:
    """What the docstring of the subtraction says it cannot see."""
    fuser = MeanFuser()
    whole, other = fuser.encode(person(1, 40)), fuser.encode(person(2, 2))
    assert (whole - other).num_images == 38
