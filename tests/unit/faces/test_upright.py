"""Drawn faces, whose landmarks are dots of five colours, and a detector that knows upright ones only."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.faces import ARCFACE_LANDMARKS, Face, align_face, largest_face
from probefusion.faces.turned_frames import FrameSearch
from probefusion.faces.upright import (
    UNMEASURED,
    UprightLevels,
    find_in_turns,
    in_turned_photo,
)

cv2 = pytest.importorskip("cv2")

COLOURS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [250, 0, 250]])
UPSIDE_DOWN = [4, 3, 2, 1, 0]

YUNET = UprightLevels(clear=0.92, least_turned=0.8)


def draw(image, scale, centre, lean=0.0):
    """Draws a face into the image, leaning to the right by so many degrees; gives its landmarks."""
    turn = np.radians(lean)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (ARCFACE_LANDMARKS - 56) @ (scale * matrix).T + centre
    for point, colour in zip(points, COLOURS, strict=True):
        cv2.circle(image, point.round().astype(int).tolist(), round(6 * scale), colour.tolist(), -1)
    return points


def photo(lean=0.0, size=(300, 400)):
    image = np.full((*size, 3), 90, np.uint8)
    return image, draw(image, 1.2, (150, 140), lean)


def dots(image):
    """(F, 5, 2) landmarks of the drawn faces, in order of the eyes' columns."""
    places = []
    for colour in COLOURS:
        near = (np.abs(image.astype(int) - colour).max(axis=2) < 60).astype(np.uint8)
        _, _, stats, centres = cv2.connectedComponentsWithStats(near)
        places.append(centres[1:][stats[1:, 4] > 12])
    if len({len(found) for found in places}) > 1 or not len(places[0]):
        return np.empty((0, 5, 2))
    first = places[0][np.argsort(places[0][:, 0])]
    faces = []
    for eye in first:
        rest = [found[np.argmin(np.abs(found - eye).sum(axis=1))] for found in places[1:]]
        faces.append(np.stack([eye, *rest]))
    return np.stack(faces)


class OnlyUpright:
    """Finds upright faces with a score that falls by .002 a degree, and an upright face where one is upside down."""

    def __init__(self, best=0.95, false=0.85, finds_false=True, levels=YUNET):
        self.best, self.false, self.finds_false, self.levels = best, false, finds_false, levels
        self.num_searches = 0

    def search(self, image):
        self.num_searches += 1
        found = []
        for points in dots(image):
            eyes = points[1] - points[0]
            lean = abs(np.degrees(np.arctan2(eyes[1], eyes[0])))
            if lean < 50:
                found.append(self.face(points, self.best - 0.002 * lean))
            elif lean > 140 and self.finds_false:
                found.append(self.face(points[UPSIDE_DOWN], self.false))
        return found

    def face(self, points, score):
        points = points.astype(np.float32)
        side = np.linalg.norm(points[4] - points[0]) * 1.6
        corner = points.mean(axis=0) - side / 2
        return Face(box=np.float32([*corner, side, side]), landmarks=points, score=score)

    def detect(self, image):
        return tuple(find_in_turns(image, self.search, levels=self.levels))

    def detect_turned(self, image, turned):
        return tuple(in_turned_photo(image, self.search, turned))


def turned_points(points, quarters, shape):
    """Points of an image in the pixels of it turned counter-clockwise by so many quarters."""
    height, width = shape
    for _ in range(quarters):
        points = np.column_stack([points[:, 1], width - 1 - points[:, 0]])
        height, width = width, height
    return points


@pytest.mark.parametrize("lean", [-30, 0, 20])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_the_face_is_found_as_it_stands(quarters, lean) -> None:
    image, points = photo(lean)
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    (found,) = OnlyUpright().detect(turned)
    expected = turned_points(points, quarters, image.shape[:2])
    assert np.abs(found.landmarks - expected).max() < 2.5
    assert found.turned == 90 * quarters
    assert np.abs(found.box[:2] + found.box[2:] / 2 - expected.mean(axis=0)).max() < 4
    upright = align_face(image, points).astype(int)
    assert np.abs(align_face(turned, found.landmarks) - upright).mean() < 6


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_without_the_second_look_it_was_another(quarters) -> None:
    """What is guarded against: an upright face in the wrong place, or none."""
    image, points = photo()
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    found = largest_face(OnlyUpright().search(turned))
    if found is not None:
        expected = turned_points(points, quarters, image.shape[:2])
        assert np.abs(found.landmarks - expected).max() > 30
        assert found.turned == 0


def test_a_clear_face_costs_one_search() -> None:
    detector = OnlyUpright()
    image, points = photo()
    (found,) = detector.detect(image)
    assert detector.num_searches == 1
    assert found.score == pytest.approx(0.95)
    assert np.abs(found.landmarks - points).max() < 1


@pytest.mark.parametrize(("best", "false"), [(0.99, 0.95), (0.62, 0.55), (0.3, 0.21)])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_scores_of_another_scale_need_no_level(quarters, best, false) -> None:
    """The false faces of the first are above what is clear for YuNet, the true ones of the others below any level."""
    image, points = photo(lean=10)
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    (found,) = OnlyUpright(best, false, levels=UNMEASURED).detect(turned)
    expected = turned_points(points, quarters, image.shape[:2])
    assert found.turned == 90 * quarters
    assert np.abs(found.landmarks - expected).max() < 2.5


def test_the_level_of_one_detector_is_wrong_for_another() -> None:
    image, points = photo()
    upside_down = np.ascontiguousarray(np.rot90(image, 2))
    (found,) = OnlyUpright(0.99, 0.95, levels=YUNET).detect(upside_down)
    assert found.turned == 0
    assert np.abs(found.landmarks - turned_points(points, 2, image.shape[:2])).max() > 30


def test_a_doubtful_upright_face_stays_as_it_was_found() -> None:
    detector = OnlyUpright(best=0.88)
    image, _ = photo(lean=10)
    (first,) = detector.search(image)
    (found,) = detector.detect(image)
    assert np.array_equal(found.landmarks, first.landmarks)
    assert found.score == first.score


def test_all_faces_of_a_turned_group_photo_are_found() -> None:
    image = np.full((300, 900, 3), 90, np.uint8)
    placed = [draw(image, scale, (150 + 300 * k, 150)) for k, scale in enumerate((1.0, 1.3, 0.9))]
    found = OnlyUpright().detect(np.ascontiguousarray(np.rot90(image, 2)))
    assert [face.turned for face in found] == [180] * 3
    expected = [turned_points(points, 2, (300, 900)) for points in placed]
    for face in found:
        assert min(np.abs(face.landmarks - points).max() for points in expected) < 2.5
    assert len({round(float(face.box[0])) for face in found}) == 3


def test_who_lies_among_others_is_told_alone() -> None:
    image = np.full((300, 700, 3), 90, np.uint8)
    standing, lying = draw(image, 1.0, (150, 150)), draw(image, 1.1, (500, 150), lean=180)
    found = sorted(OnlyUpright().detect(image), key=lambda face: face.box[0])
    assert [face.turned for face in found] == [0, 180]
    assert np.abs(found[0].landmarks - standing).max() < 1
    assert np.abs(found[1].landmarks - lying).max() < 2.5


def test_an_empty_photo_is_searched_in_all_turns_and_shows_nobody() -> None:
    detector = OnlyUpright()
    assert detector.detect(np.full((80, 90, 3), 90, np.uint8)) == ()
    assert detector.num_searches == 4


def test_a_poor_face_in_a_turned_photo_is_none() -> None:
    """Below .8 it is as likely a false one; upright it is taken as before."""
    image, _ = photo()
    assert OnlyUpright(best=0.75, finds_false=False).detect(np.rot90(image)) == ()
    assert len(OnlyUpright(best=0.75).detect(image)) == 1


def test_a_face_that_is_not_seen_again_is_kept_where_nothing_better_is_found() -> None:
    face = OnlyUpright().face(ARCFACE_LANDMARKS * 1.0, 0.7)
    image = np.full((112, 112, 3), 90, np.uint8)
    (kept,) = find_in_turns(image, lambda pixels: [face] if pixels is image else [])
    assert kept is face


def test_landmarks_in_one_place_are_left_to_the_alignment() -> None:
    face = Face(box=np.float32([0, 0, 9, 9]), landmarks=np.full((5, 2), 7, np.float32), score=0.7)
    assert face.turned == 0
    assert find_in_turns(np.zeros((50, 50, 3), np.uint8), lambda _: [face]) == [face]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_points_of_a_turned_photo(quarters) -> None:
    image, points = photo(size=(250, 400))
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    (found,) = in_turned_photo(turned, OnlyUpright().search, 90 * quarters)
    assert np.abs(found.landmarks - turned_points(points, quarters, (250, 400))).max() < 1.5
    assert found.turned == 90 * quarters


class Counting(OnlyUpright):
    """Counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.num_checks = 0

    def detect(self, image):
        self.num_checks += 1
        return super().detect(image)


@pytest.mark.parametrize("quarters", [0, 2, 3])
def test_frames_are_checked_at_the_beginning_and_now_and_then(quarters) -> None:
    detector = Counting()
    search = FrameSearch(detector)
    image, points = photo()
    frame = np.ascontiguousarray(np.rot90(image, quarters))
    expected = turned_points(points, quarters, image.shape[:2])
    for _ in range(65):
        (found,) = search.detect(frame)
        assert np.abs(found.landmarks - expected).max() < 2.5
    assert search.turned == 90 * quarters
    assert detector.num_checks == 4  # frames 0, 1, 2 and 64


def test_one_odd_frame_does_not_turn_the_others() -> None:
    search = FrameSearch(Counting())
    image, _ = photo()
    search.detect(image)
    search.detect(np.ascontiguousarray(np.rot90(image, 2)))
    assert search.turned == 0
    assert len(search.detect(image)) == 1


def test_frames_for_a_detector_that_knows_nothing_of_turns() -> None:
    class Plain:
        def detect(self, image):
            return (OnlyUpright().face(ARCFACE_LANDMARKS, 0.3),)

    search = FrameSearch(Plain())
    assert len(search.detect(np.zeros((9, 9, 3), np.uint8))) == 1
    assert search.turned == 0
