"""Old films, television and the web: every stage by its numbers, severity, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.degradations.broadcast import broadcast, frame
from probefusion.errors import ConfigError, DtypeError, ShapeError

cv2 = pytest.importorskip("cv2", reason="degradation needs OpenCV")

SIZE = 112


class Script:
    """Stands in for a generator: `u` gives the 28 uniform numbers, by their number from 1; no grain."""

    def __init__(self, **u: float) -> None:
        # nothing happens: no turn, cover, tint, fading, shrinking below 1, comb, grain, halo, loss; frame off
        neutral = {2: 1.0, 13: 0.0, 14: 1.0, 16: 1.0, 18: 0.0, 19: 1.0, 21: 0.0, 22: 0.3, 23: 1.0}
        self.draws = np.full(28, 0.5)
        for number, value in neutral.items():
            self.draws[number - 1] = value
        for name, value in u.items():
            self.draws[int(name[1:]) - 1] = value

    def random(self, count: int) -> np.ndarray:
        assert count == 28
        return self.draws.copy()

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape)


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    """A smooth picture with some texture."""
    small = rng.integers(60, 196, (14, 14, 3)).astype(np.uint8)
    return cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def mean_difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


def test_severity_zero_changes_nothing_and_draws_nothing(image) -> None:
    generator = np.random.default_rng(3)
    before = generator.bit_generator.state
    found = broadcast(image, 0, generator)
    assert np.array_equal(found, image)
    assert found is not image
    assert generator.bit_generator.state == before


def test_the_same_generator_gives_the_same_image(image) -> None:
    kept = image.copy()
    first, second = (broadcast(image, 0.8, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, broadcast(image, 0.8, np.random.default_rng(5)))
    assert np.array_equal(image, kept)
    assert first.dtype == np.uint8
    assert first.shape == image.shape


def test_the_more_severe_the_farther_from_the_original(image) -> None:
    levels = [
        np.mean(
            [
                mean_difference(broadcast(image, s, np.random.default_rng(k)), image)
                for k in range(12)
            ]
        )
        for s in (0.1, 0.4, 0.7, 1.0)
    ]
    assert levels == sorted(levels)


def test_a_turned_face_shows_its_middle_to_the_side(image) -> None:
    spot = np.full_like(image, 40)
    spot[52:60, 52:60] = 250
    turned = broadcast(spot, 1, Script(u1=1.0))
    rows, columns = np.nonzero(turned[..., 1] > 150)
    # on a cylinder of radius 66 a turn by 35 degrees moves the middle by 66 sin 35 = 37.9 pixels
    assert columns.mean() == pytest.approx(55.5 + 37.9, abs=3)
    assert rows.mean() == pytest.approx(55.5, abs=3)


def test_a_cover_reaches_in_from_its_edge_alone() -> None:
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    covered = broadcast(grey, 1, Script(u2=0.0, u3=0.0, u4=0.5, u5=0.5, u7=0.9, u8=0.0))
    assert covered[56, 2].max() < 40
    assert np.abs(covered[56, 70:].astype(int) - 128).max() < 12


def test_fading_takes_the_colours(image) -> None:
    def colour(found: np.ndarray) -> float:
        return float(found.astype(float).std(axis=2).mean())

    assert colour(broadcast(image, 1, Script(u14=0.0))) < 0.2 * colour(
        broadcast(image, 1, Script())
    )


def test_a_comb_shifts_every_second_row() -> None:
    edge = np.zeros((SIZE, SIZE, 3), np.uint8)
    edge[:, 56:] = 255
    sharp = {"u15": 0.0, "u22": 0.0}

    def unlike(found: np.ndarray) -> float:
        """How much rows of the shrunken picture that follow each other differ at the edge."""
        return float(np.abs(np.diff(found[:, 40:72].astype(float), axis=0)).mean())

    assert unlike(broadcast(edge, 1, Script(u16=0.0, u17=1.0, **sharp))) > 5 * unlike(
        broadcast(edge, 1, Script(**sharp))
    )


def test_a_frame_is_black_outside_the_rectangle_and_unchanged_inside(image) -> None:
    framed = frame(image, np.array([0.0, 0.0, 0.5, 0.5, 0.5]))
    # 112 * .6 = 67.2 pixels around the middle 55.5: from 22 to 89
    assert np.array_equal(framed[22:90, 22:90], image[22:90, 22:90])
    assert (
        framed[:22].max() == framed[90:].max() == framed[:, :22].max() == framed[:, 90:].max() == 0
    )


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_other_severities_are_refused(image, severity, rng) -> None:
    with pytest.raises(ConfigError, match="severity: expected a number from 0 to 1"):
        broadcast(image, severity, rng)


def test_other_images_are_refused(image, rng) -> None:
    with pytest.raises(ShapeError, match="112, 112, 3"):
        broadcast(image[:100], 0.5, rng)
    with pytest.raises(DtypeError, match="uint8"):
        broadcast(image / 255, 0.5, rng)
