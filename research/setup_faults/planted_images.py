"""Faults planted into aligned crops, as careless pipelines make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["IMAGE_FAULTS"]

Crops = npt.NDArray[np.uint8]

_MIDDLE = 55.5


def _cut(
    crop: Any, across: float, down: float, *, move: tuple[float, float] = (0, 0), tilt: float = 0.0
) -> Any:
    angle = np.deg2rad(tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([across, down])
    shift = np.full(2, _MIDDLE) + move - linear @ np.full(2, _MIDDLE)
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(crop, matrix, (112, 112), borderMode=cv2.BORDER_REPLICATE)


def _all(across: float, down: float, right: float = 0, below: float = 0) -> Callable[[Crops], Any]:
    return lambda crops: [_cut(crop, across, down, move=(right, below)) for crop in crops]


def _part(change: Callable[[Any], Any], every: int) -> Callable[[Crops], Any]:
    return lambda crops: [
        change(crop) if place % every == 0 else crop for place, crop in enumerate(crops)
    ]


def _each_otherwise(crops: Crops) -> Any:
    """Cut without landmarks: each with a size, place and tilt of its own."""
    rng = np.random.default_rng(0)
    return [
        _cut(
            crop,
            *[float(np.exp(rng.uniform(-0.2, 0.2)))] * 2,
            move=tuple(rng.uniform(-10, 10, 2)),
            tilt=float(rng.uniform(-25, 25)),
        )
        for crop in crops
    ]


def _as_mtcnn(crops: Crops) -> Any:
    return [cv2.resize(_cut(crop, 0.72, 0.72), (160, 160)) for crop in crops]


def _rectangles(crops: Crops) -> Any:
    return [cv2.resize(_cut(crop, 0.8, 0.8), (112, 150)) for crop in crops]


IMAGE_FAULTS: Mapping[str, tuple[str, Callable[[Crops], Any]]] = {
    "red and blue exchanged": ("image-channels", lambda crops: crops[..., ::-1]),
    "exchanged in a third": ("image-channels", _part(lambda crop: crop[..., ::-1], 3)),
    "turned by 90": ("turned", lambda crops: np.rot90(crops, -1, (1, 2))),
    "turned by 180": ("turned", lambda crops: np.rot90(crops, 2, (1, 2))),
    "turned by 270": ("turned", lambda crops: np.rot90(crops, 1, (1, 2))),
    "a fifth turned by 90": ("turned", _part(lambda crop: np.rot90(crop, -1), 5)),
    "loose, x 0.7": ("alignment", _all(0.7, 0.7)),
    "loose, x 0.85": ("alignment", _all(0.85, 0.85)),
    "tight, x 1.35": ("alignment", _all(1.35, 1.35)),
    "8 pixels too low": ("alignment", _all(1, 1, 0, 8)),
    "template of 150 pixels with padding": ("alignment", _all(0.7, 0.7, 0, 8)),
    "MTCNN, 160 pixels": ("alignment", _as_mtcnn),
    "not aligned": ("alignment", _each_otherwise),
    "squashed across, x 0.75": ("squashed", _all(0.75, 1)),
    "squashed down, x 0.75": ("squashed", _all(1, 0.75)),
    "stretched across, x 1.17 (96x112)": ("squashed", _all(112 / 96, 1)),
    "rectangles, 112x150": ("alignment", _rectangles),
}
"""Each fault: the check that should find it, and what makes a list of images of crops."""
