"""Faces put together from two aligned faces, so that few people give many identities to learn from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.degradations.augment import Image, check_image
from probefusion.errors import ShapeError
from probefusion.extras import import_cv2

__all__ = ["draw_chimera"]

_SOFTEST = 12.0
_MIXTURE = (0.3, 0.7)


def draw_chimera(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """A face of which one part comes from another person.

    The other face first takes on the mean and the spread of each colour channel of the first. Then
    one of three, with equal chance: the two are separated by a soft straight line at any angle that
    passes near the middle; a soft ellipse of one lies in the other; or both are mixed evenly over
    the whole crop with a share from 0.3 to 0.7. Because both are aligned, features lie on features.

    Args:
        image: (S, S, 3) uint8 RGB, aligned.
        other: The same size.
        rng: Source of randomness.

    Returns:
        (S, S, 3) uint8 RGB, a new array.

    Raises:
        DtypeError, ShapeError: If either is no RGB image, or their sizes differ.
    """
    check_image(image)
    check_image(other)
    if image.shape != other.shape:
        raise ShapeError(f"other: expected the shape of image, {image.shape}, got {other.shape}.")
    kind = rng.integers(3)
    share: npt.NDArray[np.float32] | float
    if kind == 0:
        share = _half_plane(image.shape[0], image.shape[1], rng)
    elif kind == 1:
        share = _ellipse(image.shape[0], image.shape[1], rng)
    else:
        share = float(rng.uniform(*_MIXTURE))
    first = image.astype(np.float32)
    second = _recoloured(other.astype(np.float32), like=first)
    mixed = first + share * (second - first)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _recoloured(
    image: npt.NDArray[np.float32], *, like: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    cv2 = import_cv2("augmenting images")
    mean, spread = (values.reshape(3) for values in cv2.meanStdDev(image))
    wanted_mean, wanted_spread = (values.reshape(3) for values in cv2.meanStdDev(like))
    gain = np.clip(wanted_spread / np.maximum(spread, 1.0), 0.5, 2.0).astype(np.float32)
    offset = (wanted_mean - gain * mean).astype(np.float32)
    recoloured: npt.NDArray[np.float32] = image * gain + offset
    return recoloured


def _half_plane(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    angle = rng.uniform(0, 2 * np.pi)
    offset = rng.uniform(-0.15, 0.15) * min(height, width)
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2
    distance = np.float32(np.cos(angle)) * x[None, :] + np.float32(np.sin(angle)) * y[:, None]
    return _soft((distance - np.float32(offset)) / np.float32(rng.uniform(1, _SOFTEST)))


def _ellipse(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    middle = rng.uniform(0.25, 0.75, 2) * (width, height)
    radii = rng.uniform(0.15, 0.5, 2) * (width, height)
    x = (np.arange(width) - middle[0]) / radii[0]
    y = (np.arange(height) - middle[1]) / radii[1]
    inside = 1 - np.hypot(x[None, :], y[:, None])
    steepness = radii.mean() / rng.uniform(1, _SOFTEST)
    return _soft((inside * steepness).astype(np.float32))


def _soft(position: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    share: npt.NDArray[np.float32] = (0.5 + 0.5 * np.clip(position, -1, 1))[..., None]
    return share
