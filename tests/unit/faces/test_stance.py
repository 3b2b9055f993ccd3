"""The small network that knows upright faces: on faces of real people, and what the search makes of its word."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from probefusion.faces import ARCFACE_LANDMARKS, Face
from probefusion.faces.align import similarity_transform
from probefusion.faces.decoding import decode_image
from probefusion.faces.stance import StanceNetwork, turns_of
from probefusion.faces.upright import UNMEASURED, UprightLevels, find_in_turns

cv2 = pytest.importorskip("cv2")

_LIKELY = UprightLevels(clear=0.92, least_turned=0.8, likely=0.8, seen_again=0.9)
_PLACE = ARCFACE_LANDMARKS + 64


def face(landmarks=_PLACE, score=0.85, centre=(120, 120), side=80):
    corner = np.subtract(centre, side / 2)
    return Face(
        box=np.array([*corner, side, side], np.float32),
        landmarks=np.asarray(landmarks, np.float32),
        score=score,
    )


def leaning(degrees):
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = _PLACE.mean(axis=0)
    return face((_PLACE - centre) @ matrix.T + centre)


@pytest.mark.assets
def test_real_faces_stand_and_misread_ones_do_not(assets) -> None:
    """100 people: their own landmarks; upside down, eyes where the mouth is; a quarter turned; of half the size."""
    odds = {"own": [], "upside down": [], "quarter": [], "forehead": []}
    network = StanceNetwork()
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith("1.jpg"))
        for name in names[:: len(names) // 100][:100]:
            photo = cv2.copyMakeBorder(
                decode_image(archive.read(name)), *[64] * 4, cv2.BORDER_REPLICATE
            )
            middle = _PLACE.mean(axis=0)
            quarter = (_PLACE - middle) @ np.array([[0, 1], [-1, 0]]) + middle
            said = network.log_odds(
                photo,
                [
                    face(),
                    face(2 * middle - _PLACE),
                    face(quarter),
                    face((_PLACE - middle) / 2 + middle - [0, 28]),
                ],
            )
            assert said.shape == (4,)
            for values, value in zip(odds.values(), said, strict=True):
                values.append(value)
    stands = {kind: float((np.array(values) >= 4).mean()) for kind, values in odds.items()}
    assert stands["own"] >= 0.9
    assert max(share for kind, share in stands.items() if kind != "own") <= 0.01


def test_one_by_one_as_all_at_once() -> None:
    photo = np.random.default_rng(5).integers(0, 256, (240, 240, 3), np.uint8)
    faces = [face(), leaning(15), leaning(-120)]
    network = StanceNetwork()
    together = network.log_odds(photo, faces)
    assert np.allclose(together, [network.log_odds(photo, [one])[0] for one in faces], atol=1e-4)
    assert np.ptp(together) > 0.1


def test_turns_are_those_of_the_alignment(rng) -> None:
    points = rng.normal(0, 40, (20, 5, 2)) + ARCFACE_LANDMARKS
    for turn, landmarks in zip(turns_of(points), points, strict=True):
        matrix = similarity_transform(landmarks, ARCFACE_LANDMARKS / 4)
        assert np.allclose([turn.real, turn.imag], matrix[:, 0], atol=1e-9)
    assert not np.isfinite(turns_of([np.ones((5, 2))])).any()
    assert turns_of([]).shape == (0,)


def test_landmarks_that_span_no_face_do_not_stand() -> None:
    photo = np.full((240, 240, 3), 90, np.uint8)
    same, broken = np.full((5, 2), 50.0), _PLACE.copy()
    broken[2] = np.nan
    said = StanceNetwork().log_odds(photo, [face(same), face(), face(broken)])
    assert np.isneginf(said[[0, 2]]).all()
    assert np.isfinite(said[1])
    assert StanceNetwork().log_odds(photo, []).shape == (0,)
    assert StanceNetwork().log_odds(photo, [face(same)]).tolist() == [-np.inf]


class Counting:
    """Finds given faces in the image, and one in the middle of every square."""

    def __init__(self, *found, seen=0.85):
        self.found, self.seen, self.squares, self.asked = list(found), seen, 0, 0

    def search(self, image):
        if image.shape[0] != 160:
            return self.found
        self.squares += 1
        places = ARCFACE_LANDMARKS * 0.75 + (160 - 84) / 2
        return [face(places, score=self.seen, centre=(80, 80), side=60)]

    def find(self, odds, levels=_LIKELY):
        def log_odds(_, faces):
            self.asked += len(faces)
            return np.full(len(faces), odds, np.float32)

        image = np.full((240, 480, 3), 90, np.uint8)
        return find_in_turns(image, self.search, levels=levels, log_odds=log_odds)


def test_a_likely_face_that_stands_is_not_looked_at_again() -> None:
    search = Counting(face(score=0.85))
    assert search.find(odds=4.5) == search.found
    assert (search.squares, search.asked) == (0, 1)


def test_a_clear_face_is_not_even_asked_about() -> None:
    search = Counting(face(score=0.95))
    assert search.find(odds=-9) == search.found
    assert (search.squares, search.asked) == (0, 0)


def test_an_unlikely_face_is_looked_at_and_believed_then() -> None:
    """Below .8 as found, .85 once it is put upright: one square is enough."""
    search = Counting(face(score=0.7))
    assert search.find(odds=4.5) == search.found
    assert (search.squares, search.asked) == (1, 2)


def test_one_that_leans_is_looked_at_as_its_landmarks_may_be_misplaced() -> None:
    search, little = Counting(leaning(25)), Counting(leaning(15))
    assert search.find(odds=4.5) == search.found
    assert search.squares == 1
    assert little.find(odds=4.5) == little.found
    assert little.squares == 0


@pytest.mark.parametrize("odds", [-9, 0, 3.9])
def test_one_that_does_not_look_upright_is_looked_at_in_all_turns(odds) -> None:
    search = Counting(face(score=0.85))
    assert search.find(odds=odds) == search.found
    assert search.squares == 7  # itself, and twice in each of three turns


@pytest.mark.parametrize(
    ("seen", "odds", "squares"), [(0.91, 1.1, 1), (0.91, 0.9, 7), (0.89, 1.1, 7)]
)
def test_one_that_is_seen_again_well_needs_to_look_upright_less(seen, odds, squares) -> None:
    search = Counting(face(score=0.85), seen=seen)
    assert search.find(odds=odds) == search.found
    assert search.squares == squares


def test_beside_one_that_was_looked_at_and_stands_small_ones_are_kept_as_found() -> None:
    search = Counting(beside(0.85), face(score=0.65, side=50))
    found = search.find(odds=-9)
    assert {id(one) for one in found} == {id(one) for one in search.found}
    assert search.squares == 7


def beside(score):
    return face(np.add(_PLACE, [200, 0]), score=score, centre=(320, 120))


@pytest.mark.parametrize(("odds", "squares"), [(-9, 7), (0.9, 7), (1.1, 0)])
def test_beside_one_that_stands_looking_so_is_enough(odds, squares) -> None:
    """A photo that shows an upright face is not turned; who lies in it is looked at still."""
    search = Counting(beside(0.95), face(score=0.65))
    found = search.find(odds=odds)
    assert {id(one) for one in found} == {id(one) for one in search.found}
    assert search.squares == squares


@pytest.mark.parametrize(("side", "squares"), [(50, 0), (60, 7)])
def test_beside_one_that_stands_small_ones_are_kept_as_found(side, squares) -> None:
    """Of an area of .39 and .56 of the other."""
    search = Counting(beside(0.95), face(score=0.65, side=side))
    found = search.find(odds=-9)
    assert {id(one) for one in found} == {id(one) for one in search.found}
    assert search.squares == squares


def test_the_look_is_not_asked_where_no_score_is_likely() -> None:
    search = Counting(beside(0.99), face(score=0.97))
    search.find(odds=9, levels=UNMEASURED)
    assert (search.squares, search.asked) == (14, 0)
