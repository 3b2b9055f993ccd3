from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    EmbedderMismatchError,
    FileFormatError,
    FuserMismatchError,
    InvalidInputError,
    MissingFileError,
    NonFiniteError,
    OutputExistsError,
    ShapeError,
)
from probefusion.types import FusionState


def make_state(mass=(2.0, 1.0), num_images=3, fuser="f@1", **settings) -> FusionState:
    rng = np.random.default_rng(1)
    clusters = len(mass)
    return FusionState(
        mass=np.array(mass),
        sums=rng.standard_normal((clusters, 4)),
        style_sums=rng.standard_normal((clusters, 3)),
        num_images=num_images,
        fuser=fuser,
        **settings,
    )


def test_sum_and_difference_are_inverse() -> None:
    first, second = make_state(embedder="e"), make_state((0.5, 4.0), 2, embedder="e")
    both = first + second
    assert both.num_images == 5
    assert both.embedder == "e"
    back = both - second
    assert np.allclose(back.sums, first.sums, atol=1e-15)
    assert back.num_images == 3


def test_taking_everything_out_leaves_exactly_nothing() -> None:
    state = make_state()
    empty = state - state
    assert empty.num_images == 0
    assert not empty.mass.any()
    assert not empty.sums.any()
    assert np.array_equal((empty + state).sums, state.sums)


def test_what_was_never_added_cannot_be_taken_out() -> None:
    with pytest.raises(InvalidInputError, match="cannot take 3 images out of a state of 2"):
        make_state(num_images=2) - make_state(num_images=3)
    with pytest.raises(InvalidInputError, match="never added"):
        make_state((1.0, 1.0), 5) - make_state((3.0, 1.0), 2)


def test_states_that_do_not_belong_together() -> None:
    with pytest.raises(FuserMismatchError, match="g@1"):
        make_state() + make_state(fuser="g@1")
    with pytest.raises(EmbedderMismatchError):
        make_state(embedder="a") + make_state(embedder="b")
    with pytest.raises(EmbedderMismatchError, match=r"nobody said what made .*--embedder NAME"):
        make_state(embedder="a") + make_state()
    with pytest.raises(EmbedderMismatchError, match="one is of a"):
        make_state(num_images=5) - make_state(embedder="a")
    with pytest.raises(ShapeError):
        make_state() + make_state((1.0, 2.0, 3.0))


def test_bad_values() -> None:
    with pytest.raises(NonFiniteError):
        make_state((np.nan, 1.0))
    with pytest.raises(InvalidInputError, match="mass"):
        make_state((-1.0, 1.0))
    with pytest.raises(InvalidInputError, match="num_images"):
        make_state(num_images=-1)
    with pytest.raises(ShapeError):
        FusionState(
            mass=np.ones(2),
            sums=np.ones((3, 4)),
            style_sums=np.ones((2, 1)),
            num_images=1,
            fuser="f",
        )


def test_survives_bytes_and_files(tmp_path) -> None:
    state = make_state(embedder="e")
    again = FusionState.from_bytes(state.to_bytes())
    for name in ("mass", "sums", "style_sums"):
        assert np.array_equal(getattr(again, name), getattr(state, name))
    assert (again.num_images, again.fuser, again.embedder) == (3, "f@1", "e")
    state.save(tmp_path / "person.safetensors")
    assert np.array_equal(FusionState.load(tmp_path / "person.safetensors").sums, state.sums)
    with pytest.raises(OutputExistsError):
        state.save(tmp_path / "person.safetensors")
    with pytest.raises(MissingFileError):
        FusionState.load(tmp_path / "nobody.safetensors")


@pytest.mark.parametrize("data", [b"", b"not safetensors at all", b"\xff" * 64])
def test_other_bytes_are_refused(data) -> None:
    with pytest.raises(FileFormatError, match="state"):
        FusionState.from_bytes(data)


def test_cut_bytes_are_refused() -> None:
    with pytest.raises(FileFormatError):
        FusionState.from_bytes(make_state().to_bytes()[:-9])


def test_other_safetensors_are_refused() -> None:
    from safetensors.numpy import save

    with pytest.raises(FileFormatError, match="another safetensors"):
        FusionState.from_bytes(save({"mass": np.ones(2)}))


def test_as_many_other_images_cannot_be_taken_out() -> None:
    other = make_state((1.0, 2.0))
    with pytest.raises(InvalidInputError, match="other images"):
        make_state() - other


@pytest.mark.parametrize(
    "facts",
    [
        {"num_images": "x", "fuser": "f", "embedder": None},
        {"num_images": 1e400, "fuser": "f", "embedder": None},
        {"fuser": "f", "embedder": None},
        {"num_images": 1, "fuser": "f", "embedder": 5},
    ],
)
def test_damaged_facts_are_refused(facts) -> None:
    import json

    from safetensors.numpy import save

    arrays = {"mass": np.ones(1), "sums": np.ones((1, 2)), "style_sums": np.ones((1, 1))}
    metadata = {"kind": "fusion_state", "format_version": "1", "facts": json.dumps(facts)}
    with pytest.raises(InvalidInputError):
        FusionState.from_bytes(save(arrays, metadata=metadata))


def test_adding_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        make_state() + None


def test_style_sums_that_no_images_give_are_refused() -> None:
    """As one flipped bit of an exponent makes them, in a state of a release that wrote no hash."""
    from probefusion.types.state_checks import check_possible

    style = np.full((1, 3), 40.0)
    parts = {"mass": np.ones(1) * 2, "sums": np.ones((1, 4)), "num_images": 2, "fuser": "f@1"}
    check_possible(FusionState(**parts, style_sums=style, embedder=None))
    style[0, 1] = 3.7e11
    with pytest.raises(InvalidInputError, match=r"style sums .* 3\.7e\+11\. The state is damaged"):
        check_possible(FusionState(**parts, style_sums=style, embedder=None))
