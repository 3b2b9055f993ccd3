from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probefusion.errors import DtypeError, InvalidInputError, NonFiniteError, ShapeError
from probefusion.faces import ARCFACE_LANDMARKS, align_face, similarity_transform
from probefusion.faces.align import landmark_residual

pytest.importorskip("cv2")


def apply(matrix, points):
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def similarity(angle, scale, shift):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


@given(
    angle=st.floats(-3.1, 3.1),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_every_similarity_is_recovered(angle, scale, shift):
    truth = similarity(angle, scale, shift)
    found = similarity_transform(ARCFACE_LANDMARKS, apply(truth, ARCFACE_LANDMARKS))
    np.testing.assert_allclose(found, truth, atol=1e-6)


@given(noise=arrays(np.float64, (5, 2), elements=st.floats(-8, 8)))
def test_no_nearby_similarity_is_better(noise):
    points = ARCFACE_LANDMARKS + noise
    best = similarity_transform(points, ARCFACE_LANDMARKS)

    def error(matrix):
        return np.sum((apply(matrix, points) - ARCFACE_LANDMARKS) ** 2)

    assert best[0, 0] == pytest.approx(best[1, 1])
    assert best[0, 1] == pytest.approx(-best[1, 0])
    for angle, scale, shift in (
        (1e-3, 1, (0, 0)), (-1e-3, 1, (0, 0)), (0, 1.001, (0, 0)), (0, 0.999, (0, 0)),
        (0, 1, (0.05, 0)), (0, 1, (-0.05, 0)), (0, 1, (0, 0.05)), (0, 1, (0, -0.05)),
    ):  # fmt: skip
        step = similarity(angle, scale, shift)
        moved = np.column_stack([step[:, :2] @ best[:, :2], apply(step, best[:, 2])])
        assert error(moved) >= error(best) - 1e-9


def test_mirrored_points_are_not_mirrored_back():
    mirrored = ARCFACE_LANDMARKS * [-1, 1]
    matrix = similarity_transform(mirrored, ARCFACE_LANDMARKS)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_plain_grid_shows_the_convention_of_the_matrix():
    matrix = similarity_transform([[0, 0], [2, 0]], [[1, 1], [1, 5]])  # a quarter turn, doubled
    np.testing.assert_allclose(matrix, [[0, -2, 1], [2, 0, 1]], atol=1e-12)


def test_aligned_landmarks_stand_at_their_places(rng):
    """Five marks drawn in a photo reappear at the template's places."""
    truth = similarity(0.4, 3.1, (150.0, 60.0))
    landmarks = apply(truth, ARCFACE_LANDMARKS)
    photo = np.zeros((600, 700, 3), np.uint8)
    rows, columns = np.mgrid[0:600, 0:700]
    for x, y in landmarks:
        photo[np.hypot(columns - x, rows - y) < 9] = 255
    crop = align_face(photo, landmarks)
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    rows, columns = np.mgrid[0:112, 0:112]
    for x, y in ARCFACE_LANDMARKS:
        near = crop[..., 0] * (np.hypot(columns - x, rows - y) < 6) / 255.0
        centre = [np.sum(near * columns) / near.sum(), np.sum(near * rows) / near.sum()]
        np.testing.assert_allclose(centre, [x, y], atol=0.3)


def test_a_face_in_place_is_left_as_it_is(rng):
    image = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    before = image.copy()
    np.testing.assert_array_equal(align_face(image, ARCFACE_LANDMARKS), image)
    np.testing.assert_array_equal(image, before)


def test_places_scale_with_the_size(rng):
    image = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align_face(image, 2 * ARCFACE_LANDMARKS, size=224), image)


def test_what_lies_outside_is_black():
    image = np.full((112, 112, 3), 200, np.uint8)
    crop = align_face(image, ARCFACE_LANDMARKS - [40, 0])
    assert (crop[:, :38] == 0).all()
    assert (crop[:, 42:] == 200).all()


@pytest.mark.parametrize(
    ("landmarks", "error"),
    [
        (ARCFACE_LANDMARKS[:4], ShapeError),
        (np.full((5, 2), np.nan), NonFiniteError),
        (np.full((5, 2), 7.0), InvalidInputError),
        (np.full((5, 2), 7.0) + ARCFACE_LANDMARKS * 1e-4, InvalidInputError),
    ],
)
def test_wrong_landmarks_are_refused(landmarks, error):
    with pytest.raises(error):
        align_face(np.zeros((112, 112, 3), np.uint8), landmarks)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((112, 112, 3), np.float32), DtypeError),
        (np.zeros((112, 112), np.uint8), ShapeError),
        (np.zeros((0, 112, 3), np.uint8), ShapeError),
    ],
)
def test_wrong_images_are_refused(image, error):
    with pytest.raises(error):
        align_face(image, ARCFACE_LANDMARKS)


@pytest.mark.parametrize("order", [[1, 0, 2, 4, 3], [1, 0, 2, 3, 4]])
def test_swapped_sides_are_refused(order, rng) -> None:
    image = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for angle in (0, 20, -35):
        turn = np.radians(angle)
        matrix = 1.7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        points = ARCFACE_LANDMARKS @ matrix.T + [80, 60] + rng.normal(0, 2, (5, 2))
        assert align_face(image, points).shape == (112, 112, 3)
        with pytest.raises(InvalidInputError, match=r"name the person's left"):
            align_face(image, points[order])


def test_the_order_is_not_looked_at_where_it_is_not_asked(rng) -> None:
    """As the published helpers align a benchmark: by the landmarks as they are."""
    image = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    swapped = ARCFACE_LANDMARKS[[1, 0, 2, 4, 3]]
    crop = align_face(image, swapped, check_order=False)
    assert crop.shape == (112, 112, 3)
    in_order = align_face(image, ARCFACE_LANDMARKS, check_order=False)
    assert np.array_equal(in_order, align_face(image, ARCFACE_LANDMARKS))


def test_a_mirrored_photo_has_its_own_left(rng) -> None:
    image = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    points = ARCFACE_LANDMARKS * 1.5 + 40
    mirrored = np.column_stack([299 - points[:, 0], points[:, 1]])[[1, 0, 2, 4, 3]]
    assert align_face(np.ascontiguousarray(image[:, ::-1]), mirrored).shape == (112, 112, 3)


def test_a_profile_is_no_swap(rng) -> None:
    """Eyes nearly behind each other, the nose outside them: far from its place, and not exchanged."""
    image = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    points = np.array([[100, 100], [108, 100], [140, 130], [104, 160], [110, 160]], float)
    assert align_face(image, points).shape == (112, 112, 3)


def test_wrong_size_is_refused():
    with pytest.raises(InvalidInputError, match="size"):
        align_face(np.zeros((112, 112, 3), np.uint8), ARCFACE_LANDMARKS, size=1)


def test_shapes_must_fit():
    with pytest.raises(ShapeError):
        similarity_transform(np.zeros((5, 2)), np.zeros((4, 2)))
    with pytest.raises(ShapeError):
        similarity_transform(np.zeros((1, 2)), np.zeros((1, 2)))


@pytest.mark.parametrize("order", [[2, 0, 1, 3, 4], [0, 1, 3, 4, 2], [3, 4, 2, 0, 1]])
def test_points_in_another_order_are_refused(order) -> None:
    """The nose first or last, the mouth above the eyes without being turned."""
    with pytest.raises(InvalidInputError, match=r"landmarks: expected"):
        align_face(np.zeros((112, 112, 3), np.uint8), ARCFACE_LANDMARKS[order])


def test_exchanged_x_and_y_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="their x and y are exchanged"):
        align_face(np.zeros((112, 112, 3), np.uint8), ARCFACE_LANDMARKS[:, ::-1])


def test_the_mouth_alone_exchanged_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="left and right exchanged"):
        align_face(np.zeros((112, 112, 3), np.uint8), ARCFACE_LANDMARKS[[0, 1, 2, 4, 3]])


def test_points_that_are_no_face_are_refused() -> None:
    row = np.array([[60, 0], [0, 0], [120, 0], [30, 0], [90, 0]], float)
    with pytest.raises(InvalidInputError, match="the places of a face"):
        align_face(np.zeros((112, 130, 3), np.uint8), row)
    assert align_face(np.zeros((112, 130, 3), np.uint8), row, check_order=False).shape[0] == 112


@pytest.mark.parametrize("degrees", range(0, 91, 15))
def test_faces_turned_to_the_side_are_taken(degrees) -> None:
    """A head in space, seen from ever farther to the side: eyes 60 apart, the nose 30 before them."""
    head = np.array([[-30, -30, 0], [30, -30, 0], [0, 5, 30], [-24, 36, 5], [24, 36, 5]], float)
    yaw = np.radians(degrees)
    seen = np.stack([np.cos(yaw) * head[:, 0] + np.sin(yaw) * head[:, 2], head[:, 1]], axis=1)
    assert align_face(np.zeros((112, 112, 3), np.uint8), seen + 56).shape == (112, 112, 3)


def test_the_residual_of_landmarks_in_place_is_nothing() -> None:
    assert landmark_residual(ARCFACE_LANDMARKS * 3 + 8) == pytest.approx(0, abs=1e-6)
    assert landmark_residual(ARCFACE_LANDMARKS[[1, 0, 2, 4, 3]]) == pytest.approx(22.6, abs=0.1)


@pytest.mark.parametrize(
    ("shift", "inside"), [([400, 400], 0), ([-150, -150], 0), ([-60, -80], 1), ([1e7, 0], 0)]
)
def test_landmarks_of_another_image_are_refused(shift, inside, rng) -> None:
    """Of the photo before it was scaled down, say: the crop would be black."""
    image = rng.integers(0, 256, (200, 200, 3), np.uint8)
    with pytest.raises(InvalidInputError, match=rf"image of 200x200 pixels, got {inside} of 5"):
        align_face(image, ARCFACE_LANDMARKS + shift)
    assert align_face(image, ARCFACE_LANDMARKS + shift, check_order=False).shape == (112, 112, 3)


def test_a_face_cut_in_half_is_aligned(rng) -> None:
    image = rng.integers(0, 256, (200, 200, 3), np.uint8)
    crop = align_face(image, ARCFACE_LANDMARKS - [50, 0])
    assert crop[:, 51:].any()
    assert not crop[:, :49].any()
