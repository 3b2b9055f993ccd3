"""The degradation: every stage by its numbers, severity, determinism."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from probefusion.degradations import degrade as room
from probefusion.degradations.degrade import degradation_definition, degrade
from probefusion.errors import ConfigError, DtypeError, ShapeError

cv2 = pytest.importorskip("cv2", reason="degradation needs OpenCV")

SIZE = 112
STAGES = (
    "_misalign",
    "_occlude",
    "_relight",
    "_blur",
    "_shrink",
    "_add_noise",
    "_compress",
    "_enlarge",
)
NEUTRAL = 0.5


class Script:
    """Stands in for a generator: `u` gives the 18 uniform numbers, by their number from 1."""

    def __init__(self, **u: float) -> None:
        self.draws = np.full(18, NEUTRAL)
        for name, value in u.items():
            self.draws[int(name[1:]) - 1] = value

    def random(self, count: int) -> np.ndarray:
        assert count == 18
        return self.draws

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape)


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    """A smooth picture with some texture."""
    small = rng.integers(30, 226, (14, 14, 3)).astype(np.uint8)
    return cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Turns every stage off but the named ones."""

    def keep(*names: str) -> None:
        for stage in set(STAGES) - set(names):
            monkeypatch.setattr(room, stage, lambda image, *_: image)

    return keep


def mean_error(image: np.ndarray, severity: float) -> float:
    """Root mean square change over 40 degradations, in grey levels."""
    rng = np.random.default_rng(3)
    changes = [degrade(image, severity, rng).astype(float) - image for _ in range(40)]
    return float(np.sqrt(np.mean(np.square(changes))))


def test_severity_zero_changes_nothing_and_draws_nothing(image, rng):
    state = rng.bit_generator.state
    same = degrade(image, 0, rng)
    assert np.array_equal(same, image)
    assert not np.shares_memory(same, image)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize("severity", [1e-9, 0.3, 1.0])
def test_result_is_a_crop_and_the_input_stays(image, rng, severity):
    before = image.copy()
    for _ in range(20):
        result = degrade(image, severity, rng)
        assert result.shape == (SIZE, SIZE, 3)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
    assert np.array_equal(image, before)


def test_same_generator_state_gives_the_same_pixels(image):
    first, again, other = (
        degrade(image, 0.8, np.random.Generator(np.random.PCG64(seed))) for seed in (7, 7, 8)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_read_only_mirrored_view_gives_the_same(image):
    mirrored = np.ascontiguousarray(image[:, ::-1])
    mirrored.flags.writeable = False
    for seed in range(12):
        view = degrade(mirrored[:, ::-1], 1.0, np.random.default_rng(seed))
        assert np.array_equal(view, degrade(image, 1.0, np.random.default_rng(seed)))


def test_random_numbers_used_are_eighteen_and_the_noise(image):
    used, expected = np.random.default_rng(4), np.random.default_rng(4)
    degrade(image, 0.5, used)
    draws = expected.random(18)
    side = round(SIZE * (12 / SIZE) ** (0.5 * (0.5 + 0.5 * draws[15])))
    expected.standard_normal((side, side, 3))
    assert used.bit_generator.state == expected.bit_generator.state


def test_more_severity_is_more_damage(image):
    errors = [mean_error(image, severity) for severity in (1e-6, 0.15, 0.3, 0.6, 0.8, 1.0)]
    assert errors == sorted(errors)
    assert errors[0] < 3  # only the best JPEG
    assert errors[-1] > 3 * errors[1]


def test_alignment(only):
    only("_misalign")
    dot = np.zeros((SIZE, SIZE, 3), np.uint8)
    dot[50:62, 90:102] = 200  # centre (x, y) = (95.5, 55.5), 40 right of the middle

    def centre(**u: float) -> tuple[float, float]:
        moved = degrade(dot, 1.0, Script(**u))[..., 0].astype(float)
        y, x = (np.indices(moved.shape) * moved).sum(axis=(1, 2)) / moved.sum()
        return x - 55.5, y - 55.5

    assert centre() == pytest.approx((40, 0), abs=0.02)
    assert centre(u1=1.0) == pytest.approx((40 * 2**0.2, 0), abs=0.1)
    assert centre(u1=0.0) == pytest.approx((40 / 2**0.2, 0), abs=0.1)
    angle = math.radians(10)
    assert centre(u2=1.0) == pytest.approx((40 * math.cos(angle), -40 * math.sin(angle)), abs=0.1)
    assert centre(u3=1.0) == pytest.approx((45.6, 0), abs=0.1)
    assert centre(u4=0.0) == pytest.approx((40, -5.6), abs=0.1)


def test_alignment_extends_the_edge(only):
    only("_misalign")
    flat = np.full((SIZE, SIZE, 3), 80, np.uint8)
    assert (degrade(flat, 1.0, Script(u1=0.0, u2=1.0, u3=1.0, u4=1.0)) == 80).all()


@pytest.mark.parametrize("severity", [1.0, 0.5])
def test_occlusion(only, severity):
    only("_occlude")
    flat = np.full((SIZE, SIZE, 3), 80, np.uint8)
    draws = {"u6": 0.5, "u7": 0.25, "u8": 0.9999999, "u9": 0.0, "u10": 0.999}
    hidden = degrade(flat, severity, Script(u5=0.4 * severity - 1e-9, **draws)) != 80
    height, width = round(28 * severity), round(14 * severity)
    expected = np.zeros((SIZE, SIZE, 3), bool)
    expected[SIZE - height :, :width] = True
    assert np.array_equal(hidden, expected)
    assert not (degrade(flat, severity, Script(u5=0.4 * severity, **draws)) != 80).any()
    assert degrade(flat, severity, Script(u5=0.0, **draws)).max() == 255


@pytest.mark.parametrize(
    ("severity", "draws", "expected"),
    [
        (1.0, {}, [0, 100, 200, 255]),
        (1.0, {"u11": 1.0}, [0, 72, 255, 255]),
        (1.0, {"u11": 0.0}, [64, 114, 164, 191]),
        (1.0, {"u12": 0.0}, [0, 50, 150, 205]),
        (1.0, {"u12": 1.0}, [50, 150, 250, 255]),
        (0.5, {"u11": 0.0, "u12": 1.0}, [62, 133, 204, 243]),
    ],
)
def test_illumination(only, severity, draws, expected):
    only("_relight")
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[0, :4] = np.array([0, 100, 200, 255])[:, None]
    assert degrade(image, severity, Script(**draws))[0, :4, 1].tolist() == expected


def test_gaussian_blur(only):
    only("_blur")
    line = np.zeros((SIZE, SIZE, 3), np.uint8)
    line[:, 56] = 255
    profile = degrade(line, 1.0, Script(u13=0.499, u14=1.0))[50, :, 0].astype(float)
    spread = math.sqrt((profile * (np.arange(SIZE) - 56) ** 2).sum() / profile.sum())
    assert spread == pytest.approx(3, abs=0.1)
    assert np.array_equal(degrade(line, 1.0, Script(u13=0.0, u14=0.033)), line)


@pytest.mark.parametrize(("severity", "length"), [(1.0, 15), (0.5, 8)])
def test_motion_blur(only, severity, length):
    only("_blur")
    dot = np.zeros((SIZE, SIZE, 3), np.uint8)
    dot[56, 56] = 255
    blurred = degrade(dot, severity, Script(u13=0.5, u14=1.0, u15=0.0))[..., 0].astype(float)
    assert np.flatnonzero(blurred.any(axis=1)).tolist() == [56]
    spread = (blurred[56] * (np.arange(SIZE) - 56) ** 2).sum() / blurred[56].sum()
    # Even lengths lie half way between pixels and share each point among two, hence the 1/4.
    assert spread == pytest.approx((length**2 - 1) / 12 + (length % 2 == 0) / 4, rel=0.03)
    upright = degrade(dot, 1.0, Script(u13=0.5, u14=1.0, u15=0.5))[..., 0]
    assert np.flatnonzero(upright.max(axis=0) > 3).tolist() == [56]


@pytest.mark.parametrize(
    ("severity", "draw", "side"), [(1.0, 1.0, 12), (1.0, 0.0, 37), (0.6, 0.0, 57), (0.3, 0.5, 68)]
)
def test_resolution(only, image, severity, draw, side):
    only("_shrink")
    small = degrade(image, severity, Script(u16=draw))
    assert small.shape == (side, side, 3)
    assert small.mean() == pytest.approx(image.mean(), abs=1)


def test_noise_is_that_of_the_generator(only):
    only("_add_noise")
    flat = np.full((SIZE, SIZE, 3), 80, np.uint8)
    assert (degrade(flat, 1.0, Script(u17=1.0)) == 92).all()
    assert (degrade(flat, 0.5, Script(u17=0.25)) == 82).all()  # 1.5, halves to the even one
    assert (degrade(np.full_like(flat, 250), 1.0, Script(u17=1.0)) == 255).all()
    noisy = degrade(flat, 1.0, np.random.default_rng(0)).astype(float) - 80
    strength = np.random.default_rng(0).random(18)[16]
    assert noisy.std() == pytest.approx(12 * strength, rel=0.05)
    assert abs(noisy.mean()) < 0.3


def test_compression(only, image, monkeypatch):
    only("_compress")
    settings = []
    encode = cv2.imencode
    monkeypatch.setattr(
        cv2,
        "imencode",
        lambda kind, pixels, given: settings.append(given) or encode(kind, pixels, given),
    )
    for severity, draw in ((1.0, 0.0), (1.0, 1.0), (0.5, 0.5)):
        compressed = degrade(image, severity, Script(u18=draw)).astype(float)
        # Channels in their places: each is closest to itself.
        errors = np.abs(compressed[..., :, None] - image[..., None, :]).mean(axis=(0, 1))
        assert errors.argmin(axis=1).tolist() == [0, 1, 2]
    assert [given[1] for given in settings] == [95, 40, 81]
    assert settings[0][0] == cv2.IMWRITE_JPEG_QUALITY
    assert settings[0][2:] == [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]


def test_stages_run_in_the_order_of_the_definition(monkeypatch, image, rng):
    order = []
    for stage in STAGES:
        run = getattr(room, stage)
        monkeypatch.setattr(
            room,
            stage,
            lambda image, *rest, stage=stage, run=run: order.append(stage) or run(image, *rest),
        )
    degrade(image, 0.7, rng)
    assert order == list(STAGES)


def test_definition_can_be_written_as_json():
    definition = degradation_definition()
    assert json.loads(json.dumps(definition)) == definition
    assert definition["version"] == "face-degradation/v1"


@pytest.mark.parametrize("severity", [-0.01, 1.01, math.nan, math.inf])
def test_severity_out_of_range(image, rng, severity):
    with pytest.raises(ConfigError, match="severity: expected a number from 0 to 1"):
        degrade(image, severity, rng)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.zeros((112, 112, 3), np.float32), DtypeError),
        (np.zeros((112, 112), np.uint8), ShapeError),
        (np.zeros((96, 112, 3), np.uint8), ShapeError),
    ],
)
def test_wrong_images_are_refused(bad, error, rng):
    with pytest.raises(error, match="image: expected"):
        degrade(bad, 0.5, rng)
