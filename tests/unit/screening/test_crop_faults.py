"""What is done with the judgements: which undoing counts, of all images or of some."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from probefusion.screening.crop_faults import (
    GEOMETRIES,
    Geometry,
    check_crops,
    undo_geometry,
)

COUNT = 20


class _Likes:
    """Gives an image as much as it looks like the right one: red at the left, a bright square in the middle."""

    def __init__(self, right):
        self.right = right.astype(np.float64)

    def judge(self, crops):
        off = np.abs(crops.astype(np.float64) - self.right).mean(axis=(1, 2, 3))
        return (4 - off / 8).astype(np.float32)


@pytest.fixture
def right(rng):
    crops = np.zeros((COUNT, 112, 112, 3), np.uint8)
    crops[:, :, :40, 0] = 180
    crops[:, 30:50, 40:90] = 220
    crops[:, 70:80, 45:75, 2] = 250
    return crops + rng.integers(0, 4, crops.shape).astype(np.uint8)


def check(right, crops, **settings):
    return check_crops(np.ascontiguousarray(crops), _Likes(right), **settings)


def test_no_fault(right) -> None:
    found = check(right, right)
    assert not found.is_faulty
    assert found.doubts == ()
    assert (found.corrected == right).all()


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned(right, turn) -> None:
    crops = np.rot90(right, -turn, (1, 2))
    found = check(right, crops)
    assert found.turned == {90 * turn: COUNT}
    assert (found.corrected == right).all()


def test_a_single_turned_image_is_told(right) -> None:
    crops = right.copy()
    crops[3] = np.rot90(crops[3], -1)
    found = check(right, crops)
    assert found.turned == {90: 1}
    assert found.turns[3] == 1
    assert found.doubts == ("1 of 20 faces are turned",)


def test_exchanged_all_and_some(right) -> None:
    assert check(right, right[..., ::-1]).num_exchanged == COUNT
    crops = right.copy()
    crops[::4] = crops[::4, ..., ::-1]
    found = check(right, crops)
    assert found.is_exchanged.tolist() == [place % 4 == 0 for place in range(COUNT)]
    assert (found.corrected == right).all()


def test_turned_and_exchanged(right) -> None:
    found = check(right, np.rot90(right, -1, (1, 2))[..., ::-1])
    assert found.turned == {90: COUNT}
    assert found.num_exchanged == COUNT


def test_grey_images_tell_no_order(right) -> None:
    grey = np.repeat(right.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    found = check_crops(grey, _Likes(grey))
    assert found.is_grey
    assert found.num_exchanged == 0


@pytest.mark.parametrize(("across", "down", "fault"), [
    (0.7, 0.7, "loose"), (1.35, 1.35, "tight"), (0.75, 1, "narrow"), (1, 1.3, "tall"),
])  # fmt: skip
def test_cut_wrongly(right, across, down, fault) -> None:
    crops = undo_geometry(right, Geometry(fault="planted", across=across, down=down))
    found = check(right, crops)
    assert found.geometries[0].fault == fault
    assert found.geometry_gains[0] > 0.1
    assert check(right, crops, judges_cut=False).geometries == ()


def test_few_images_tell_no_cut(right) -> None:
    crops = undo_geometry(right, Geometry(fault="planted", across=0.7, down=0.7))[:7]
    assert check(right[:7], crops).geometries == ()


def test_one_image(right) -> None:
    assert not check(right[:1], right[:1]).is_faulty


def test_geometries_keep_the_middle(right) -> None:
    for geometry in GEOMETRIES:
        moved = undo_geometry(right[:1], geometry)
        assert moved.shape == (1, 112, 112, 3)
