"""Pictures of anything but a face, drawn: what a detector that is wrong hands to an embedder.

They teach a usability model that such sets are nothing to be compared, however alike their embeddings are: a
network maps all black images, and nearly all noise, to one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.errors import UnknownNameError

__all__ = ["KINDS", "draw_non_faces"]

Image = npt.NDArray[np.uint8]
_Plane: TypeAlias = npt.NDArray[Any]

_SIDE = 112


def draw_non_faces(kind: str, num_images: int, rng: np.random.Generator) -> Image:
    """Images of one kind, each drawn anew.

    Args:
        kind: One of `KINDS`.
        num_images: N; 0 gives an empty array.
        rng: Source of randomness.

    Returns:
        (N, 112, 112, 3) uint8 RGB.

    Raises:
        UnknownNameError: If there is no such kind.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    draw = KINDS[kind]
    images = np.zeros((num_images, _SIDE, _SIDE, 3), np.uint8)
    for image in images:
        image[:] = np.clip(np.round(draw(rng)), 0, 255)
    return images


def _colour(rng: np.random.Generator) -> _Plane:
    return rng.uniform(0, 255, 3)


def _flat(rng: np.random.Generator) -> _Plane:
    """One colour with the noise of a sensor; a third of them black."""
    colour = np.zeros(3) if rng.random() < 1 / 3 else _colour(rng)
    return colour + rng.normal(0, 4 * rng.random(), (_SIDE, _SIDE, 3))


def _noise(rng: np.random.Generator) -> _Plane:
    """Independent pixels, of every strength, grey or in colours."""
    channels = 1 if rng.random() < 0.5 else 3
    strength = rng.uniform(20, 120)
    return rng.uniform(60, 190) + rng.normal(0, strength, (_SIDE, _SIDE, channels)) * np.ones(3)


def _clouds(rng: np.random.Generator) -> _Plane:
    """Smooth blobs: noise with a spectrum that falls by a power."""
    power = rng.uniform(0.7, 2.2)
    rows, columns = np.fft.fftfreq(_SIDE)[:, None], np.fft.fftfreq(_SIDE)[None]
    radius = np.hypot(rows, columns)
    radius[0, 0] = 1.0
    plane = np.fft.ifft2(np.fft.fft2(rng.normal(size=(_SIDE, _SIDE))) / radius**power).real
    plane = (plane - plane.mean()) / plane.std()
    tint = _colour(rng) / 255
    picture: _Plane = rng.uniform(60, 190) + rng.uniform(15, 70) * plane[..., None] * (0.3 + tint)
    return picture


def _gradient(rng: np.random.Generator) -> _Plane:
    """From one colour to another."""
    share = _ramp(rng)
    share = (share - share.min()) / np.ptp(share)
    picture: _Plane = _colour(rng) * share[..., None] + _colour(rng) * (1 - share[..., None])
    return picture


def _stripes(rng: np.random.Generator) -> _Plane:
    """Waves of two colours, soft or hard."""
    wave = np.sin(_ramp(rng) * rng.uniform(0.05, 0.9))
    wave = np.sign(wave) if rng.random() < 0.5 else wave
    share = (wave[..., None] + 1) / 2
    picture: _Plane = _colour(rng) * share + _colour(rng) * (1 - share)
    return picture


def _tiles(rng: np.random.Generator) -> _Plane:
    """Squares of random colours."""
    size = int(rng.integers(4, 40))
    count = -(-_SIDE // size)
    colours = rng.uniform(0, 255, (count, count, 3))
    whole = np.kron(colours, np.ones((size, size, 1)))
    return whole[:_SIDE, :_SIDE]


def _shapes(rng: np.random.Generator) -> _Plane:
    """A few ellipses and bars on a ground."""
    picture = np.ones((_SIDE, _SIDE, 1)) * _colour(rng)
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float64)
    for _ in range(int(rng.integers(1, 9))):
        y, x, a, b = rng.uniform((0, 0, 4, 4), (_SIDE, _SIDE, 50, 50))
        turn = rng.uniform(0, np.pi)
        u = (rows - y) * np.cos(turn) + (columns - x) * np.sin(turn)
        v = (columns - x) * np.cos(turn) - (rows - y) * np.sin(turn)
        inside = (
            (np.abs(u) < a) & (np.abs(v) < b)
            if rng.random() < 0.5
            else (u / a) ** 2 + (v / b) ** 2 < 1
        )
        picture[inside] = _colour(rng)
    return picture + rng.normal(0, 6 * rng.random(), picture.shape)


def _mask(rng: np.random.Generator) -> _Plane:
    """An oval with two dark spots above a bar: as much of a face as a sign or a toy has."""
    picture = np.ones((_SIDE, _SIDE, 1)) * _colour(rng)
    if rng.random() < 0.5:
        picture = _gradient(rng).copy()
    y, x = rng.uniform(50, 66, 2)
    _paint(picture, (y, x), rng.uniform((30, 26), (60, 56)), _colour(rng))
    dark = rng.uniform(0, 90, 3)
    apart, above = rng.uniform(12, 26), rng.uniform(2, 18)
    for side in (-1, 1):
        _paint(picture, (y - above, x + side * apart), rng.uniform(3, 11, 2), dark)
    _paint(picture, (y + rng.uniform(18, 34), x), rng.uniform((2, 6), (8, 22)), dark)
    if rng.random() < 0.5:
        _paint(picture, (y + rng.uniform(4, 14), x), rng.uniform(2, 9, 2), _colour(rng))
    return picture + rng.normal(0, 6 * rng.random(), picture.shape)


def _paint(
    picture: _Plane, middle: tuple[float, float], radii: npt.NDArray[np.float64], colour: _Plane
) -> None:
    """An ellipse into a picture."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float64)
    inside = ((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2 < 1
    picture[inside] = colour


def _ramp(rng: np.random.Generator) -> _Plane:
    turn = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float64)
    ramp: _Plane = rows * np.cos(turn) + columns * np.sin(turn)
    return ramp


KINDS: dict[str, Callable[[np.random.Generator], _Plane]] = {
    "flat": _flat,
    "noise": _noise,
    "clouds": _clouds,
    "gradient": _gradient,
    "stripes": _stripes,
    "tiles": _tiles,
    "shapes": _shapes,
    "mask": _mask,
}
"""What can be drawn, by name."""
