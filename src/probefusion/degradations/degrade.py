"""Degrading a clean face, from not at all to surveillance-like poor: `face-degradation/v1`.

One number, the severity s in [0, 1], scales everything. The stages follow the way of the light: how
the face lies in the crop, what stands before it, illumination, lens and motion, size of the sensor,
its noise, compression, and the enlargement back to the crop's size. `degrade` defines each of them
to the last number. A published version never changes; other numbers need another version.
"""

from __future__ import annotations

import math

import numpy as np

from probefusion.degradations.augment import Image, check_image, line_kernel, warp_image
from probefusion.errors import ConfigError, ShapeError
from probefusion.extras import import_cv2

__all__ = [
    "CROP_SIZE",
    "DEGRADATION_VERSION",
    "check_crop",
    "degradation_definition",
    "degrade",
]

DEGRADATION_VERSION = "face-degradation/v1"
"""Name of the degradation that `degrade` applies."""

CROP_SIZE = 112
"""Height and width of the crops that degradations are defined for, in pixels."""

_ZOOM_OCTAVES = 0.2
_ROTATION_DEGREES = 10.0
_SHIFT_PIXELS = 5.6
_OCCLUSION_PROBABILITY = 0.4
_OCCLUSION_SIDE = 56
_CONTRAST_OCTAVES = 1.0
_BRIGHTNESS_LEVELS = 50.0
_MIDDLE_LEVEL = 127.5
_GAUSSIAN_SIGMA = 3.0
_MOTION_PIXELS = 14
_MIN_SIDE = 12
_NOISE_LEVELS = 12.0
_JPEG_BEST = 95
_JPEG_LOSS = 55

_NUM_DRAWS = 18
_LEVELS = np.arange(256.0)


def degrade(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Degrades an aligned crop; the same generator state gives the same result.

    With s the severity, the generator first gives 18 numbers u1..u18 = `rng.random(18)`, uniform in
    [0, 1); v_i = 2 u_i - 1. "Round" is to the nearest whole number, halves to the even one. After
    each stage, values are whole numbers in 0..255.

    1. Alignment: zoom about the centre (55.5, 55.5) by 2^(0.2 s v1), turn counter-clockwise by
       10 s v2 degrees, shift right by 5.6 s v3 and down by 5.6 s v4 pixels; bilinear; beyond the
       edge the edge's pixels go on.
    2. Occlusion: if u5 < 0.4 s, a rectangle of height h = max(1, round(56 s u6)) and width
       w = max(1, round(56 s u7)), its upper left corner at row floor((113 - h) u8) and column
       floor((113 - w) u9), is filled with the grey level floor(256 u10).
    3. Illumination: each value x becomes round((x - 127.5) 2^(s v11) + 127.5 + 50 s v12), clipped.
    4. Blur: if u13 < 0.5, gaussian with sigma = 3 s u14 pixels (none below 0.1); else motion: the
       mean over 1 + round(14 s u14) points, one pixel apart, centred on each pixel, on a line at
       pi u15 radians from the x axis, read bilinearly. Reflection at the edge, which is not doubled.
    5. Resolution: down to c x c pixels, c = round(112 (12/112)^(s (0.5 + 0.5 u16))), by averaging
       areas; so 12 at the least, and at s = 1 at most 37.
    6. Noise: + 12 s u17 z, z = `rng.standard_normal((c, c, 3))`; rounded and clipped.
    7. JPEG at that size: quality 95 - round(55 s u18), chroma subsampled 4:2:0.
    8. Back to 112 x 112, bicubic (a = -0.75).

    Stages 1, 4, 5, 7 and 8 are OpenCV's `warpAffine`, `GaussianBlur` or `filter2D`, `resize`
    (INTER_AREA, INTER_CUBIC) and `imencode`; its releases may differ by single grey levels.

    Args:
        image: (112, 112, 3) uint8 RGB; it is not changed.
        severity: s, from 0 (nothing changes, no random number is used) to 1. About .3 is mild;
            above .6 is what surveillance gives.
        rng: Source of randomness; for reproducible protocols a PCG64 generator.

    Returns:
        (112, 112, 3) uint8 RGB, a new array.

    Raises:
        ConfigError: If the severity is not in [0, 1].
        DtypeError: If the image is not uint8.
        ShapeError: If it is not (112, 112, 3).
        MissingExtraError: If OpenCV is not installed.
    """
    check_crop(image, severity)
    if severity == 0:
        return image.copy()
    s = float(severity)
    draws = rng.random(_NUM_DRAWS).tolist()
    image = _misalign(image, s, *draws[:4])
    image = _occlude(image, s, *draws[4:10])
    image = _relight(image, s, *draws[10:12])
    image = _blur(image, s, *draws[12:15])
    image = _shrink(image, s, draws[15])
    image = _add_noise(image, s, draws[16], rng)
    image = _compress(image, s, draws[17])
    return _enlarge(image)


def check_crop(image: Image, severity: float) -> None:
    """Refuses what no degradation is defined for.

    Args:
        image: To be (112, 112, 3) uint8 RGB.
        severity: To be in [0, 1].

    Raises:
        ConfigError: If the severity is not in [0, 1].
        DtypeError: If the image is not uint8.
        ShapeError: If it is not (112, 112, 3).
    """
    check_image(image)
    if image.shape[:2] != (CROP_SIZE, CROP_SIZE):
        raise ShapeError(
            f"image: expected shape (112, 112, 3), got {image.shape}. "
            f"Align the face or scale the crop first."
        )
    if not 0 <= severity <= 1:
        raise ConfigError(f"severity: expected a number from 0 to 1, got {severity}.")


def degradation_definition() -> dict[str, object]:
    """Version and numbers of the degradation, for reports and content hashes.

    Returns:
        Values that JSON can hold; strengths are those at severity 1.
    """
    return {
        "version": DEGRADATION_VERSION,
        "crop_size": CROP_SIZE,
        "zoom_octaves": _ZOOM_OCTAVES,
        "rotation_degrees": _ROTATION_DEGREES,
        "shift_pixels": _SHIFT_PIXELS,
        "occlusion_probability": _OCCLUSION_PROBABILITY,
        "occlusion_side": _OCCLUSION_SIDE,
        "contrast_octaves": _CONTRAST_OCTAVES,
        "brightness_levels": _BRIGHTNESS_LEVELS,
        "gaussian_sigma": _GAUSSIAN_SIGMA,
        "motion_pixels": _MOTION_PIXELS,
        "min_side": _MIN_SIDE,
        "noise_levels": _NOISE_LEVELS,
        "jpeg_best": _JPEG_BEST,
        "jpeg_loss": _JPEG_LOSS,
    }


def _signed(draw: float) -> float:
    return 2 * draw - 1


def _misalign(image: Image, s: float, zoom: float, turn: float, right: float, down: float) -> Image:
    return warp_image(
        image,
        zoom=2 ** (_ZOOM_OCTAVES * s * _signed(zoom)),
        degrees=_ROTATION_DEGREES * s * _signed(turn),
        shift=(_SHIFT_PIXELS * s * _signed(right), _SHIFT_PIXELS * s * _signed(down)),
        extends_edges=True,
    )


def _occlude(
    image: Image,
    s: float,
    presence: float,
    height: float,
    width: float,
    row: float,
    column: float,
    level: float,
) -> Image:
    if presence < _OCCLUSION_PROBABILITY * s:
        image = image.copy()
        rows = max(1, round(_OCCLUSION_SIDE * s * height))
        columns = max(1, round(_OCCLUSION_SIDE * s * width))
        top = math.floor((CROP_SIZE + 1 - rows) * row)
        left = math.floor((CROP_SIZE + 1 - columns) * column)
        image[top : top + rows, left : left + columns] = math.floor(256 * level)
    return image


def _relight(image: Image, s: float, contrast: float, brightness: float) -> Image:
    gain = 2 ** (_CONTRAST_OCTAVES * s * _signed(contrast))
    offset = _MIDDLE_LEVEL + _BRIGHTNESS_LEVELS * s * _signed(brightness)
    table = np.clip(np.rint((_LEVELS - _MIDDLE_LEVEL) * gain + offset), 0, 255).astype(np.uint8)
    return table[image]


def _blur(image: Image, s: float, kind: float, strength: float, direction: float) -> Image:
    cv2 = import_cv2("degrading images")
    blurred: Image = image
    if kind >= 0.5:
        kernel = line_kernel(1 + round(_MOTION_PIXELS * s * strength), math.pi * direction)
        blurred = cv2.filter2D(image, -1, kernel)
    elif (sigma := _GAUSSIAN_SIGMA * s * strength) >= 0.1:
        blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    return blurred


def _shrink(image: Image, s: float, strength: float) -> Image:
    cv2 = import_cv2("degrading images")
    side = round(CROP_SIZE * (_MIN_SIDE / CROP_SIZE) ** (s * (0.5 + 0.5 * strength)))
    small: Image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return small


def _add_noise(image: Image, s: float, strength: float, rng: np.random.Generator) -> Image:
    noisy = image + _NOISE_LEVELS * s * strength * rng.standard_normal(image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _compress(image: Image, s: float, strength: float) -> Image:
    cv2 = import_cv2("degrading images")
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        _JPEG_BEST - round(_JPEG_LOSS * s * strength),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), settings)
    restored: Image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return restored[..., ::-1]


def _enlarge(image: Image) -> Image:
    cv2 = import_cv2("degrading images")
    size = (CROP_SIZE, CROP_SIZE)
    restored: Image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_CUBIC)
    return restored
