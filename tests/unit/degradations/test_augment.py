"""The training variants: strengths, shares, determinism."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from probefusion.degradations import augment
from probefusion.degradations.augment import (
    blur_box,
    blur_downscale,
    blur_gaussian,
    blur_motion,
    draw_variants,
    jitter_photometric,
    line_kernel,
    random_crop_in_place,
    random_rotation,
    random_zoom_shift,
)
from probefusion.errors import ConfigError, DtypeError, ShapeError

pytest.importorskip("cv2", reason="augmentation needs OpenCV")

OPERATIONS = (
    random_crop_in_place,
    random_zoom_shift,
    random_rotation,
    jitter_photometric,
    blur_box,
    blur_gaussian,
    blur_motion,
    blur_downscale,
)
SIZE = 112


class Script:
    """Stands in for a generator: gives fixed draws and notes the ranges that were asked for."""

    def __init__(self, *draws: object) -> None:
        self.draws = list(draws)
        self.asked: list[tuple[object, ...]] = []

    def uniform(self, low: float, high: float, size: int | None = None) -> object:
        self.asked.append((low, high) if size is None else (low, high, size))
        return self.draws.pop(0)

    def integers(self, *limits: int, size: int | None = None) -> object:
        self.asked.append(limits if size is None else (*limits, size))
        return self.draws.pop(0)

    def permutation(self, count: int) -> object:
        self.asked.append((count,))
        return self.draws.pop(0)


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    """Smooth colours with some texture, no black pixel."""
    y, x = np.mgrid[:SIZE, :SIZE]
    base = np.stack([60 + x, 60 + y, 170 - (x + y) // 2], axis=2)
    return (base + rng.integers(0, 30, base.shape)).clip(1, 255).astype(np.uint8)


@pytest.fixture
def dot() -> np.ndarray:
    """One white pixel in the middle of black."""
    pixels = np.zeros((SIZE + 1, SIZE + 1, 3), np.uint8)
    pixels[56, 56] = 255
    return pixels


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_keeps_shape_and_leaves_its_input_alone(operation, image, rng):
    before = image.copy()
    for _ in range(20):
        changed = operation(image, rng)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert not np.shares_memory(changed, image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("operation", [*OPERATIONS, draw_variants])
def test_same_generator_state_gives_the_same_pixels(operation, image):
    first, again, other = (operation(image, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(112, 112, 3), (1, 1, 3), (7, 30, 3)])
@pytest.mark.parametrize("count", [1, 5, 16])
def test_variants_of_any_size_and_number(shape, count, rng):
    variants = draw_variants(np.full(shape, 90, np.uint8), rng, count)
    assert variants.shape == (count, *shape)
    assert variants.dtype == np.uint8


def test_mirrored_view_is_accepted(image):
    plain = draw_variants(np.ascontiguousarray(image[:, ::-1]), np.random.default_rng(0))
    assert np.array_equal(draw_variants(image[:, ::-1], np.random.default_rng(0)), plain)


def test_one_more_change_on_top_of_the_first(monkeypatch, rng):
    """Marks every change with a unit of its own and reads the marks back from the variants."""

    def mark(amount: int):
        return lambda image, _rng: image + np.uint8(amount)

    monkeypatch.setattr(augment, "random_geometry", mark(1))
    monkeypatch.setattr(augment, "jitter_photometric", mark(10))
    monkeypatch.setattr(augment, "random_blur", mark(100))
    clean = np.zeros((2, 2, 3), np.uint8)
    clean[:, 1] = 5
    kinds: Counter[int] = Counter()
    num_mirrored = 0
    for _ in range(100):
        variants = draw_variants(clean, rng, 16)
        mirrored = variants[:, 0, 0, 0] > variants[:, 0, 1, 0]
        num_mirrored += int(mirrored.sum())
        marks = variants[..., 0].min(axis=(1, 2))
        assert marks[0] == 111
        kinds.update((marks[1:] - 111).tolist())
    assert set(kinds) == {1, 10, 100}
    expected, sigma = 500, math.sqrt(1500 * 2 / 9)
    assert all(abs(count - expected) < 4 * sigma for count in kinds.values())
    assert abs(num_mirrored - 800) < 4 * math.sqrt(1600 / 4)


def test_first_variant_is_geometry_then_light_then_blur(monkeypatch, rng):
    order = []
    for name in ("random_geometry", "jitter_photometric", "random_blur"):
        monkeypatch.setattr(
            augment, name, lambda image, _rng, name=name: order.append(name) or image
        )
    draw_variants(np.zeros((4, 4, 3), np.uint8), rng, 1)
    assert order == ["random_geometry", "jitter_photometric", "random_blur"]


@pytest.mark.parametrize(
    ("chooser", "names"),
    [
        ("random_geometry", ("random_crop_in_place", "random_zoom_shift", "random_rotation")),
        ("random_blur", ("blur_box", "blur_gaussian", "blur_motion", "blur_downscale")),
    ],
)
def test_choice_is_uniform(monkeypatch, rng, chooser, names):
    drawn: Counter[str] = Counter()
    for name in names:
        monkeypatch.setattr(
            augment, name, lambda image, _rng, name=name: drawn.update([name]) or image
        )
    for _ in range(1200):
        getattr(augment, chooser)(np.zeros((2, 2, 3), np.uint8), rng)
    expected = 1200 / len(names)
    assert set(drawn) == set(names)
    assert all(abs(count - expected) < 4 * math.sqrt(expected) for count in drawn.values())


def test_crop_stays_at_its_place_and_within_its_limits(image, rng):
    shares = []
    for _ in range(300):
        cropped = random_crop_in_place(image, rng)
        kept = cropped.any(axis=2)
        assert np.array_equal(cropped[kept], image[kept])
        rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert kept.sum() == height * width
        assert 0.73 <= width / height <= 1.37
        shares.append(kept.mean())
    assert min(shares) == pytest.approx(0.2, abs=0.03)
    assert max(shares) > 0.9


def test_crop_that_never_fits_leaves_the_image_whole(image):
    wide = image[:20]
    assert np.array_equal(random_crop_in_place(wide, Script(*[1.0, 0.0] * 10)), wide)


def test_zoom_and_shift_by_their_amounts(dot):
    script = Script((0.125, -0.0625), 1.0)
    moved = random_zoom_shift(dot[:112, :112], script)
    assert script.asked == [(-0.2, 0.2, 2), (0.5, 1.5)]
    assert np.argwhere(moved[..., 0]).tolist() == [[56 - 7, 56 + 14]]
    grown = random_zoom_shift(np.full((112, 112, 3), 9, np.uint8), Script((0.0, 0.0), 0.5))
    assert (grown[..., 0] > 0).sum() == pytest.approx(56 * 56, rel=0.05)


def test_rotation_by_its_angle(dot):
    script = Script(25.0)
    dot[56, 56], dot[56, 96] = 0, 255
    turned = random_rotation(dot, script)[..., 0].astype(float)
    assert script.asked == [(-25.0, 25.0)]
    row, column = (np.indices(turned.shape) * turned).sum(axis=(1, 2)) / turned.sum()
    angle = math.degrees(math.atan2(56 - row, column - 56))
    assert angle == pytest.approx(25, abs=0.5)
    assert math.hypot(row - 56, column - 56) == pytest.approx(40, abs=0.3)


@pytest.mark.parametrize(
    ("step", "factor", "expected"),
    [
        (0, 0.5, [[50, 25, 10], [0, 20, 100]]),
        (0, 1.5, [[150, 75, 30], [0, 60, 255]]),
        (1, 0.5, [[76, 51, 36], [26, 46, 126]]),
        (1, 1.5, [[124, 49, 4], [0, 34, 255]]),
        (2, 0.5, [[81, 56, 41], [23, 43, 123]]),
        (2, 1.5, [[119, 44, 0], [0, 37, 255]]),
    ],
)
def test_brightness_contrast_and_saturation(step, factor, expected):
    # Luma of the two pixels: 61.5 and 46.3; their mean 53.9 is what contrast turns about.
    pixels = np.array([[[100, 50, 20], [0, 40, 200]]], np.uint8)
    factors = np.ones(3)
    factors[step] = factor
    script = Script(factors, [0, 1, 2])
    changed = jitter_photometric(pixels, script)
    assert script.asked == [(0.5, 1.5, 3), (3,)]
    assert np.abs(changed[0].astype(int) - expected).max() <= 1


def test_order_of_photometric_steps_matters_through_clipping():
    pixels = np.array([[[200, 200, 200], [20, 20, 20]]], np.uint8)
    factors = np.array([1.5, 0.5, 1.0])
    first, last = (
        jitter_photometric(pixels, Script(factors, order)) for order in ([0, 1, 2], [1, 0, 2])
    )
    assert first[0, 0, 0] == pytest.approx(199, abs=1)  # 255, mean 142.5
    assert last[0, 0, 0] == pytest.approx(232, abs=1)  # 155, then x 1.5


def test_box_blur_spreads_over_its_side(dot):
    script = Script(9)
    assert (blur_box(dot, script) > 0).all(axis=2).sum() == 81
    assert script.asked == [(1, 10)]
    assert np.array_equal(blur_box(dot, Script(1)), dot)


def test_gaussian_blur_has_its_sigma(dot):
    script = Script(4.0)
    flat = np.zeros((113, 113, 3), np.uint8)
    flat[:, 56] = 255
    profile = blur_gaussian(flat, script)[50, :, 0].astype(float)
    spread = math.sqrt((profile * (np.arange(113) - 56) ** 2).sum() / profile.sum())
    assert script.asked == [(0.0, 4.0)]
    assert spread == pytest.approx(4, abs=0.15)
    assert np.array_equal(blur_gaussian(dot, Script(0.0)), dot)


def test_motion_blur_runs_along_its_direction(dot):
    script = Script(19, 0.0)
    blurred = blur_motion(dot, script)[..., 0]
    assert script.asked == [(5, 20), (0.0, math.pi)]
    assert np.flatnonzero(blurred.any(axis=1)).tolist() == [56]
    assert np.flatnonzero(blurred.any(axis=0)).tolist() == list(range(47, 66))
    upright = blur_motion(dot, Script(5, math.pi / 2))[..., 0]
    assert np.flatnonzero(upright.max(axis=1) > 10).tolist() == list(range(54, 59))


@pytest.mark.parametrize("length", [1, 2, 5, 12, 19])
@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, 1.5, 3.0])
def test_line_kernel_is_a_centred_line(length, angle):
    kernel = line_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
    assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    rows, columns = np.indices(kernel.shape)
    x, y = columns - kernel.shape[1] // 2, rows - kernel.shape[0] // 2
    along, across = (
        x * math.cos(angle) + y * math.sin(angle),
        y * math.cos(angle) - x * math.sin(angle),
    )
    assert (kernel * along**2).sum() == pytest.approx((length**2 - 1) / 12, abs=0.26)
    assert (kernel * across**2).sum() < 0.26


def test_downscaling_draws_factor_and_both_interpolations(image):
    script = Script(0.2, [0, 0])
    coarse = blur_downscale(image, script)
    assert script.asked == [(0.2, 1.0), (5, 2)]
    assert len(np.unique(coarse.reshape(-1, 3), axis=0)) <= 22 * 22
    smooth = blur_downscale(image, Script(0.2, [3, 2]))
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 22 * 22
    assert np.array_equal(blur_downscale(image, Script(1.0, [4, 2])), image)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.zeros((112, 112, 3)), DtypeError),
        ([[0, 0, 0]], DtypeError),
        (np.zeros((112, 112), np.uint8), ShapeError),
        (np.zeros((2, 112, 112, 3), np.uint8), ShapeError),
        (np.zeros((0, 112, 3), np.uint8), ShapeError),
        (np.zeros((112, 112, 4), np.uint8), ShapeError),
    ],
)
def test_wrong_images_are_refused(bad, error, rng):
    with pytest.raises(error, match=r"image: expected .*, got "):
        draw_variants(bad, rng)


def test_no_variants_are_refused(image, rng):
    with pytest.raises(ConfigError, match="num_variants: expected at least 1, got 0"):
        draw_variants(image, rng, 0)
