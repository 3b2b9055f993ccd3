from __future__ import annotations

import numpy as np
import pytest
from research.compact_embedder.chimera import draw_chimera

from probefusion.errors import DtypeError, ShapeError
from research.compact_embedder import chimera

pytest.importorskip("cv2")
SEEDS = range(24)


def kind_of(seed: int) -> tuple[int, np.random.Generator]:
    """Which of the three ways a seed leads to, and the generator after that draw."""
    rng = np.random.default_rng(seed)
    return int(rng.integers(3)), rng


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)


def test_a_seed_gives_one_chimera(faces) -> None:
    first, second = (draw_chimera(*faces, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    others = {draw_chimera(*faces, np.random.default_rng(seed)).tobytes() for seed in SEEDS}
    assert len(others) == len(SEEDS)


def test_inputs_are_kept_and_the_result_is_new(faces) -> None:
    before = faces.copy()
    for seed in SEEDS:
        found = draw_chimera(*faces, np.random.default_rng(seed))
        assert (found.shape, found.dtype) == (faces[0].shape, np.uint8)
        assert not np.shares_memory(found, faces)
    assert np.array_equal(faces, before)


def test_where_the_share_is_zero_it_is_the_image(faces) -> None:
    kinds = set()
    for seed in SEEDS:
        kind, rng = kind_of(seed)
        kinds.add(kind)
        if kind == 2:
            continue
        share = (chimera._half_plane, chimera._ellipse)[kind](112, 112, rng)[..., 0]
        found = draw_chimera(*faces, np.random.default_rng(seed))
        assert np.array_equal(found[share == 0], faces[0][share == 0])
        assert 0 <= share.min() <= share.max() <= 1
        if (share == 1).sum() > 50:
            assert (found[share == 1] != faces[0][share == 1]).any()
    assert kinds == {0, 1, 2}


def test_values_do_not_wrap_round(faces) -> None:
    white = np.full_like(faces[0], 255)
    for seed in SEEDS:
        assert draw_chimera(white, faces[1], np.random.default_rng(seed)).min() > 150


def test_the_other_takes_on_the_colours_of_the_image(faces) -> None:
    dark = (faces[1] // 8).astype(np.uint8)
    seed = next(seed for seed in SEEDS if kind_of(seed)[0] == 2)
    found = draw_chimera(faces[0], dark, np.random.default_rng(seed))
    assert np.abs(found.mean(axis=(0, 1)) - faces[0].mean(axis=(0, 1))).max() < 3


def test_an_image_with_itself_is_itself(faces) -> None:
    for seed in SEEDS:
        found = draw_chimera(faces[0], faces[0], np.random.default_rng(seed))
        assert np.abs(found.astype(int) - faces[0]).max() <= 1


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_image_is_refused(faces, rng, which) -> None:
    for wrong, error in (
        (faces[0][..., 0], ShapeError),
        (faces[0].astype(np.float32), DtypeError),
    ):
        pair = [faces[0], faces[1]]
        pair[which] = wrong
        with pytest.raises(error):
            draw_chimera(*pair, rng)


def test_sizes_must_agree(faces, rng) -> None:
    with pytest.raises(ShapeError, match=r"\(112, 112, 3\), got \(56, 112, 3\)"):
        draw_chimera(faces[0], faces[1][:56], rng)
