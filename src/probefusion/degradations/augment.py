"""The training recipe's augmentation: sixteen variants of each aligned face, made once and embedded.

Three kinds of change, each with its published strength:

    geometric     one of: crop left at its place on black | zoom and shift | rotation
    photometric   brightness, contrast and saturation, in random order
    blur          one of: box | gaussian | motion | down-scaling and back

Variant 1 has all three; every other variant is variant 1 with one more change on top.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, DtypeError, ShapeError
from probefusion.extras import import_cv2

__all__ = [
    "blur_box",
    "blur_downscale",
    "blur_gaussian",
    "blur_motion",
    "draw_variants",
    "jitter_photometric",
    "random_blur",
    "random_crop_in_place",
    "random_geometry",
    "random_rotation",
    "random_zoom_shift",
]

Image: TypeAlias = npt.NDArray[np.uint8]

_CROP_AREA = (0.2, 1.0)
_CROP_ASPECT = (3 / 4, 4 / 3)
_CROP_ATTEMPTS = 10
_ZOOM = (0.5, 1.5)
_SHIFT = 0.2
_ROTATION_DEGREES = 25.0
_JITTER = 0.5
_BOX_SIZES = (1, 9)
_GAUSSIAN_SIGMA = 4.0
_MOTION_LENGTHS = (5, 19)
_DOWNSCALE = (0.2, 1.0)
_LUMA = np.array([0.299, 0.587, 0.114])
_LEVELS = np.arange(256.0)


def draw_variants(image: Image, rng: np.random.Generator, num_variants: int = 16) -> Image:
    """Draws the augmented variants of one aligned face.

    Variant 1 is a geometric, then a photometric change, then a blur. Each of the others is variant 1
    with one further change, whose kind is uniform among the three. Every variant is then mirrored
    with probability 1/2.

    Args:
        image: (H, W, 3) uint8 RGB, normally 112x112; it is not changed.
        rng: Source of randomness; the same generator state gives the same variants.
        num_variants: V, how many variants to draw, at least 1.

    Returns:
        (V, H, W, 3) uint8 RGB, a new array.

    Raises:
        DtypeError: If the image is not uint8.
        ShapeError: If it is not (H, W, 3) or has no pixels.
        ConfigError: If `num_variants` is below 1.
        MissingExtraError: If OpenCV is not installed.

    Source: Kim et al. 2022, training details; strengths as in the official implementation.
    Differs: motion lines are drawn anti-aliased and may have an even length.
    """
    check_image(image)
    if num_variants < 1:
        raise ConfigError(
            f"num_variants: expected at least 1, got {num_variants}. The recipe uses 16."
        )
    first = random_blur(jitter_photometric(random_geometry(image, rng), rng), rng)
    changes = (random_geometry, jitter_photometric, random_blur)
    kinds = rng.integers(3, size=num_variants)
    mirrored = rng.random(num_variants) < 0.5
    variants = np.empty((num_variants, *image.shape), dtype=np.uint8)
    for index in range(num_variants):
        variant = first if index == 0 else changes[kinds[index]](first, rng)
        variants[index] = variant[:, ::-1] if mirrored[index] else variant
    return variants


def random_geometry(image: Image, rng: np.random.Generator) -> Image:
    """One of crop in place, zoom with shift, and rotation, each with probability 1/3.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    change = (random_crop_in_place, random_zoom_shift, random_rotation)[int(rng.integers(3))]
    return change(image, rng)


def random_blur(image: Image, rng: np.random.Generator) -> Image:
    """One of box, gaussian and motion blur and down-scaling, each with probability 1/4.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    change = (blur_box, blur_gaussian, blur_motion, blur_downscale)[int(rng.integers(4))]
    return change(image, rng)


def random_crop_in_place(image: Image, rng: np.random.Generator) -> Image:
    """Keeps a random rectangle where it is and blackens the rest.

    Area uniform in .2-1 of the image, aspect (width : height) log-uniform in 3/4-4/3, position
    uniform. A rectangle that does not fit is drawn again; after 10 draws the image stays whole.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    height, width = image.shape[:2]
    for _ in range(_CROP_ATTEMPTS):
        area = rng.uniform(*_CROP_AREA) * height * width
        aspect = math.exp(rng.uniform(math.log(_CROP_ASPECT[0]), math.log(_CROP_ASPECT[1])))
        crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = int(rng.integers(height - crop_height + 1))
            left = int(rng.integers(width - crop_width + 1))
            kept = (slice(top, top + crop_height), slice(left, left + crop_width))
            cropped = np.zeros_like(image)
            cropped[kept] = image[kept]
            return cropped
    return image.copy()


def random_zoom_shift(image: Image, rng: np.random.Generator) -> Image:
    """Zooms about the centre by .5-1.5 and shifts by up to 20 % of each side; black around it.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    height, width = image.shape[:2]
    shift_x, shift_y = rng.uniform(-_SHIFT, _SHIFT, size=2)
    return warp_image(image, shift=(shift_x * width, shift_y * height), zoom=rng.uniform(*_ZOOM))


def random_rotation(image: Image, rng: np.random.Generator) -> Image:
    """Rotates about the centre by -25 to 25 degrees; black around it.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    return warp_image(image, degrees=rng.uniform(-_ROTATION_DEGREES, _ROTATION_DEGREES))


def jitter_photometric(image: Image, rng: np.random.Generator) -> Image:
    """Multiplies brightness, contrast and saturation by 1 +- .5 each, in random order.

    Brightness scales all values, contrast stretches about the mean luma (ITU-R BT.601) of the image,
    saturation about each pixel's own luma. Values are rounded and clipped after each step.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    cv2 = import_cv2("augmenting images")
    factors = rng.uniform(1 - _JITTER, 1 + _JITTER, size=3)
    for step in rng.permutation(3):
        factor = float(factors[step])
        if step == 2:
            matrix = factor * np.eye(3) + (1 - factor) * _LUMA
            image = cv2.transform(image, matrix)
        else:
            pivot = 0.0 if step == 0 else float(_LUMA @ cv2.mean(image)[:3])
            table = np.clip(np.rint(factor * _LEVELS + (1 - factor) * pivot), 0, 255)
            image = cv2.LUT(image, table.astype(np.uint8))
    return image


def blur_box(image: Image, rng: np.random.Generator) -> Image:
    """Mean over a square of side 1-9 pixels (whole numbers); 1 changes nothing.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    side = int(rng.integers(_BOX_SIZES[0], _BOX_SIZES[1] + 1))
    blurred: Image = import_cv2("augmenting images").blur(image, (side, side))
    return blurred


def blur_gaussian(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian blur with sigma uniform in 0-4 pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    sigma = rng.uniform(0.0, _GAUSSIAN_SIGMA)
    if sigma < 0.1:  # the kernel is one pixel; OpenCV refuses an exact zero
        return image.copy()
    blurred: Image = import_cv2("augmenting images").GaussianBlur(image, (0, 0), sigma)
    return blurred


def blur_motion(image: Image, rng: np.random.Generator) -> Image:
    """Mean along a line of 5-19 pixels (whole numbers) through each pixel, in a random direction.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    length = int(rng.integers(_MOTION_LENGTHS[0], _MOTION_LENGTHS[1] + 1))
    blurred: Image = import_cv2("augmenting images").filter2D(
        image, -1, line_kernel(length, rng.uniform(0.0, math.pi))
    )
    return blurred


def blur_downscale(image: Image, rng: np.random.Generator) -> Image:
    """Scales down by .2-1 and back up; both interpolations are drawn from OpenCV's five.

    Nearest, linear, cubic, area and Lanczos, uniform and independent for the two directions.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Source of randomness.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    cv2 = import_cv2("augmenting images")
    height, width = image.shape[:2]
    factor = rng.uniform(*_DOWNSCALE)
    kinds = (
        cv2.INTER_NEAREST,
        cv2.INTER_LINEAR,
        cv2.INTER_CUBIC,
        cv2.INTER_AREA,
        cv2.INTER_LANCZOS4,
    )
    down, up = (kinds[kind] for kind in rng.integers(len(kinds), size=2))
    size = (max(1, round(factor * width)), max(1, round(factor * height)))
    small = cv2.resize(image, size, interpolation=down)
    restored: Image = cv2.resize(small, (width, height), interpolation=up)
    return restored


def check_image(image: Image) -> None:
    """Refuses everything but one (H, W, 3) uint8 image.

    Raises:
        DtypeError: If it is not a uint8 array.
        ShapeError: If it is not (H, W, 3) or has no pixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise DtypeError(
            f"image: expected a uint8 array, got {kind}. Give RGB values from 0 to 255."
        )
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ShapeError(
            f"image: expected shape (H, W, 3), got {image.shape}. Give one RGB image at a time."
        )


def warp_image(
    image: Image,
    *,
    zoom: float = 1.0,
    degrees: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    extends_edges: bool = False,
) -> Image:
    """Turns (counter-clockwise) and zooms an image about its centre, then shifts it.

    Args:
        image: (H, W, 3) uint8 RGB.
        zoom: Factor; above 1 the content grows.
        degrees: Angle.
        shift: Pixels to the right and down.
        extends_edges: Whether the pixels of the edge go on beyond it; else it is black there.

    Returns:
        (H, W, 3) uint8 RGB, bilinear, a new array.
    """
    cv2 = import_cv2("augmenting images")
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    matrix[:, 2] += shift
    border = cv2.BORDER_REPLICATE if extends_edges else cv2.BORDER_CONSTANT
    size = (width, height)
    warped: Image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    return warped


def line_kernel(length: int, angle: float) -> npt.NDArray[np.float32]:
    """A line of `length` >= 1 pixels through the middle of an odd rectangle, anti-aliased, sum 1.

    `length` points one pixel apart, centred, at `angle` radians from the x axis towards the y axis
    (down); each gives its weight 1 / length to the four pixels around it in bilinear shares.
    """
    along = np.arange(length) - (length - 1) / 2
    x, y = along * math.cos(angle), along * math.sin(angle)
    radius_x, radius_y = math.ceil(abs(x[0])), math.ceil(abs(y[0]))
    x, y = x + radius_x, y + radius_y
    left, top = np.floor(x), np.floor(y)
    right_share, bottom_share = x - left, y - top
    width, height = 2 * radius_x + 2, 2 * radius_y + 2  # one spare row and column, of weight zero
    cell = (top * width + left).astype(np.intp)
    cells = np.concatenate([cell, cell + 1, cell + width, cell + width + 1])
    shares = np.concatenate(
        [
            (1 - right_share) * (1 - bottom_share),
            right_share * (1 - bottom_share),
            (1 - right_share) * bottom_share,
            right_share * bottom_share,
        ]
    )
    kernel = np.bincount(cells, shares, width * height).reshape(height, width)[:-1, :-1]
    return np.ascontiguousarray(kernel / kernel.sum(), dtype=np.float32)
