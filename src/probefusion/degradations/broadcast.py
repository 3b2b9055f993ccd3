"""Degrading a clean face as old films, television and the web do: `face-broadcast/v1`.

`degrade` is a camera that watches from afar. Here a face is turned, covered by a hand or by hair,
tinted, grained, interlaced, compressed twice and enlarged. One number, the severity s in [0, 1],
scales strengths and most probabilities. Three things do not depend on it and come at any s above 0:
pictures without colour, JPEG of quality 80 and less, and the frame. A published version never
changes; other numbers need another version.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from probefusion.degradations.augment import Image
from probefusion.degradations.degrade import CROP_SIZE, check_crop
from probefusion.extras import import_cv2

__all__ = ["BROADCAST_VERSION", "broadcast", "frame"]

BROADCAST_VERSION = "face-broadcast/v1"
"""Name of the degradation that `broadcast` applies."""

_CYLINDER_RADIUS = 66.0
_TURN_DEGREES = 35.0
_COVER_PROBABILITY = 0.35
_TINT_OCTAVES = 0.35
_GAMMA_OCTAVES = 0.6
_GREY_PROBABILITY = 0.25
_SMALLEST_FACE = 16
_GRAIN_LEVELS = 8.0
_GRAIN_BLUR = 0.6
_COMB_PROBABILITY = 0.35
_COMB_SHARE = 0.03
_HALO_PROBABILITY = 0.4
_HALO_AMOUNT = 1.5
_JPEG_BEST = 80
_JPEG_LOSS = 50
_FRAME_PROBABILITY = 0.4
_NUM_DRAWS = 28


def broadcast(image: Image, severity: float, rng: np.random.Generator) -> Image:
    """Degrades an aligned crop; the same generator state gives the same result.

    With s the severity, the generator first gives u1..u28 = `rng.random(28)`, uniform in [0, 1);
    v_i = 2 u_i - 1. "Round" is to the nearest whole number, halves to the even one. Values are whole
    numbers in 0..255 after stages 1 and 2 and from the end of 7 on; between, they are float32.

    1. Pose: the crop lies on an upright cylinder of radius 66 pixels that is turned by 35 s v1
       degrees, read bilinearly; what comes into sight at the edge repeats the edge.
    2. Cover: if u2 < .35 s, an ellipse reaches in from the middle of the left, right, upper or
       lower edge (number floor(4 u3) of these), its half axis across 56 s (.3 + .7 u4) pixels and
       its half axis down 56 s (.3 + .7 u5). With r the distance from its centre in half axes, the
       cover's share is clip((1.15 - r)/.3, 0, 1). Its colour is 255 u6 (1, .75, .6), as of skin, if
       u7 < .5, and else the grey of level 255 u8.
    3. Colour: each channel, as a fraction of 255, times 2^(.35 s v9), 2^(.35 s v10), 2^(.35 s v11),
       clipped to 0..1, then raised to the power 2^(.6 s v12); then mixed with its grey (.299, .587,
       .114), whose share is s u13, or 1 if u14 < .25: at any s above 0, a quarter of all pictures
       have no colour.
    4. Resolution: down to c x c pixels, c = round(112 (16/112)^(s (.4 + .6 u15))), by averaging
       areas.
    5. Comb: if u16 < .35 s, every second row, from the second on, is shifted right by
       round(.03 c s v17) pixels, as two fields of a moving face are; what leaves a row at one end
       comes in at the other.
    6. Grain: n = (a + b)/sqrt(2), where a = `rng.standard_normal((c, c, 1))` is one for all channels
       and b = `rng.standard_normal((c, c, 3))`, blurred by a gaussian of .6 pixels; with x the value
       as a fraction of 255, clipped to 0..1, 16 s u18 n (.3 + 2.8 x (1 - x)) is added: most in the
       middle tones.
    7. Halo: if u19 < .4, 1.5 s u20 times the difference to a gaussian blur of one pixel is added.
       Rounded and clipped.
    8. JPEG of quality 80 - round(50 s u21), so 80 at most at any s above 0, chroma subsampled 4:2:0;
       twice, the second time with the picture moved right and down by four pixels (half a block),
       around its edges, and then back.
    9. Back to 112 x 112 by nearest, linear, cubic or Lanczos interpolation (number floor(4 u22) of
       these).
    10. Frame: if u23 < .4, at any s above 0 and equally strong, all is black outside a rectangle of
        width 112 (.6 + .4 u24) and height 112 (.6 + .4 u25), its centre 8 v26 pixels right and 8 v27
        down of the middle, turned clockwise by 15 v28 degrees: the photo ended there when the face
        was aligned.

    Args:
        image: (112, 112, 3) uint8 RGB; it is not changed.
        severity: s, from 0 (nothing changes, no random number is used) to 1.
        rng: Source of randomness.

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
    cv2 = import_cv2("degrading images")
    s = float(severity)
    u = rng.random(_NUM_DRAWS)
    v = 2 * u - 1
    seen = _turn(image, math.radians(_TURN_DEGREES * s * v[0]))
    if u[1] < _COVER_PROBABILITY * s:
        seen = _cover(seen, s, u[2:8])
    light = _tint(seen, s, v[8:12], fade=1.0 if u[13] < _GREY_PROBABILITY else s * u[12])
    side = round(CROP_SIZE * (_SMALLEST_FACE / CROP_SIZE) ** (s * (0.4 + 0.6 * u[14])))
    small = cv2.resize(light, (side, side), interpolation=cv2.INTER_AREA)
    if u[15] < _COMB_PROBABILITY * s:
        small[1::2] = np.roll(small[1::2], round(_COMB_SHARE * side * s * v[16]), axis=1)
    small = small + _grain(small, _GRAIN_LEVELS * s * u[17], rng)
    if u[18] < _HALO_PROBABILITY:
        small = small + _HALO_AMOUNT * s * u[19] * (small - cv2.GaussianBlur(small, (0, 0), 1.0))
    coded = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    quality = _JPEG_BEST - round(_JPEG_LOSS * s * u[20])
    for shift in (0, 4):
        coded = _code(coded, quality, shift)
    kinds = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
    size = (CROP_SIZE, CROP_SIZE)
    enlarged: Image = cv2.resize(coded, size, interpolation=kinds[int(4 * u[21])])
    return frame(enlarged, u[23:]) if u[22] < _FRAME_PROBABILITY else enlarged


def frame(image: Image, u: npt.NDArray[np.float64]) -> Image:
    """Black outside a turned rectangle, as where a photo ends within the aligned crop.

    Args:
        image: (112, 112, 3) uint8.
        u: Five numbers in [0, 1): width, height, centre right and down, angle.

    Returns:
        (112, 112, 3) uint8, a new array.
    """
    width, height = CROP_SIZE * (0.6 + 0.4 * u[:2])
    right, down, turn = 2 * u[2:5] - 1
    rows, columns = np.mgrid[:CROP_SIZE, :CROP_SIZE] - (CROP_SIZE - 1) / 2
    angle = math.radians(15 * turn)
    x = (columns - 8 * right) * math.cos(angle) + (rows - 8 * down) * math.sin(angle)
    y = (rows - 8 * down) * math.cos(angle) - (columns - 8 * right) * math.sin(angle)
    inside = (np.abs(x) <= width / 2) & (np.abs(y) <= height / 2)
    framed: Image = np.where(inside[..., None], image, 0).astype(np.uint8)
    return framed


def _turn(image: Image, angle: float) -> Image:
    cv2 = import_cv2("degrading images")
    middle = (CROP_SIZE - 1) / 2
    along = np.arcsin(np.clip((np.arange(CROP_SIZE) - middle) / _CYLINDER_RADIUS, -1, 1))
    columns = _CYLINDER_RADIUS * np.sin(np.clip(along - angle, -math.pi / 2, math.pi / 2)) + middle
    rows = np.arange(CROP_SIZE, dtype=np.float32)
    x, y = np.meshgrid(columns.astype(np.float32), rows)
    turned: Image = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned


def _cover(image: Image, s: float, u: npt.NDArray[np.float64]) -> Image:
    """A soft ellipse that reaches in from one edge, as hair, a hand or a cap do."""
    edge, width, height = int(4 * u[0]), *(0.5 * CROP_SIZE * s * (0.3 + 0.7 * u[1:3]))
    last = CROP_SIZE - 1
    x0, y0 = ((0, last / 2), (last, last / 2), (last / 2, 0), (last / 2, last))[edge]
    rows, columns = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    radius = np.hypot((columns - x0) / width, (rows - y0) / height)
    share = np.clip((1.15 - radius) / 0.3, 0, 1)[..., None]
    colour = np.array([1.0, 0.75, 0.6]) * 255 * u[3] if u[4] < 0.5 else np.full(3, 255 * u[5])
    covered: Image = np.rint(image * (1 - share) + colour * share).astype(np.uint8)
    return covered


def _tint(
    image: Image, s: float, v: npt.NDArray[np.float64], *, fade: float
) -> npt.NDArray[np.float32]:
    light = (image / 255.0) * 2.0 ** (_TINT_OCTAVES * s * v[:3])
    light = np.clip(light, 0, 1) ** (2.0 ** (_GAMMA_OCTAVES * s * v[3]))
    grey = light @ np.array([0.299, 0.587, 0.114])
    tinted: npt.NDArray[np.float32] = (255 * (light * (1 - fade) + grey[..., None] * fade)).astype(
        np.float32
    )
    return tinted


def _grain(
    image: npt.NDArray[np.float32], levels: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    cv2 = import_cv2("degrading images")
    height, width = image.shape[:2]
    shared = rng.standard_normal((height, width, 1))
    noise = math.sqrt(0.5) * (shared + rng.standard_normal((height, width, 3)))
    noise = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), _GRAIN_BLUR)
    level = np.clip(image / 255, 0, 1)
    grain: npt.NDArray[np.float32] = (
        2 * levels * noise * (0.3 + 2.8 * level * (1 - level))
    ).astype(np.float32)
    return grain


def _code(image: Image, quality: int, shift: int) -> Image:
    cv2 = import_cv2("degrading images")
    moved = np.roll(image, (shift, shift), axis=(0, 1))
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(moved[..., ::-1]), settings)
    restored = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    coded: Image = np.ascontiguousarray(np.roll(restored, (-shift, -shift), axis=(0, 1)))
    return coded
