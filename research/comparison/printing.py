"""Faces as print and copying leave them: halftone screens, few inks, toner, folds, and a scanner.

No fuser and no embedder of the package was trained on anything like it: neither blur nor sensor noise nor a video codec
makes the error, but dots of ink that have the size of an eye where the severity is high.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["print_and_scan"]

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

SIZE = 112
FINE = 2
"""Points of ink along one pixel of the crop."""

COARSEST_SCREEN = 6.0
FINEST_SCREEN = 1.2
"""Distance of the dots of a halftone screen, in pixels of the crop."""

SCREEN_ANGLES = (15.0, 75.0, 0.0, 45.0)
"""Degrees at which cyan, magenta, yellow and black are printed."""

COPY_SHARE, COLOUR_SHARE = 0.3, 0.35
FOLD_PROBABILITY = 0.5
INK = np.array(
    [[0.0, 0.62, 0.87], [0.86, 0.1, 0.5], [0.98, 0.9, 0.05], [0.1, 0.1, 0.1]], dtype=np.float32
)
"""RGB of the four inks on white paper."""


def print_and_scan(crop: Image, severity: float, rng: np.random.Generator) -> Image:
    """A crop printed, copied or both, and scanned; severity as in `degrade`, 0 changes nothing.

    With s the severity: the tones are stretched and faded; then the face is copied in black toner (three in ten),
    printed by four inks (35 in a hundred) or by black ink alone, on screens whose dots are 1.2 to 6 pixels of
    the crop apart; ink spreads; paper is tinted and uneven; half of the pictures at s = 1 are folded; the scanner
    blurs, lies a little askew and codes as JPEG. Fine screens meet its pixels, which gives moire.

    Args:
        crop: (112, 112, 3) uint8 RGB.
        severity: From 0 to 1.
        rng: Source of randomness.

    Returns:
        (112, 112, 3) uint8 RGB, a new array.
    """
    if severity == 0:
        return crop.copy()
    u = rng.random(20)
    v = 2 * u - 1
    light = (crop / 255.0).astype(np.float32) ** np.float32(2 ** (0.5 * severity * v[0]))
    light = np.clip((light - 0.5) * 2 ** (0.6 * severity * u[1]) + 0.5, 0, 1)
    side = SIZE * FINE
    fine = cv2.resize(light, (side, side), interpolation=cv2.INTER_LINEAR)
    pitch = FINEST_SCREEN * (COARSEST_SCREEN / FINEST_SCREEN) ** (severity * (0.4 + 0.6 * u[2]))
    turn = 90 * u[3]
    if u[4] < COPY_SHARE:
        printed = _copied(fine, severity, u[5:7], rng)
    elif u[4] < COPY_SHARE + COLOUR_SHARE:
        printed = _in_colours(fine, pitch * FINE, turn, spread=0.06 * severity * u[5])
    else:
        dots = _dots(1 - _grey(fine), pitch * FINE, turn + 45, spread=0.08 * severity * u[5])
        printed = 1 - dots[..., None] * (1 - INK[3])  # black ink alone
    faded = 0.35 * severity * u[7] + (1 - 0.35 * severity * u[7]) * printed
    tint = 1 - severity * u[8] * np.array([0.02, 0.1, 0.3])
    page = (faded * tint.astype(np.float32) * _paper(severity, u[9], rng)).astype(np.float32)
    if u[10] < FOLD_PROBABILITY * severity:
        page = _folded(page, u[11:14])
    seen = cv2.GaussianBlur(page.astype(np.float32), (0, 0), FINE * (0.35 + 0.5 * severity * u[14]))
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, 5 * severity * v[15], 1.0)
    matrix[:, 2] += FINE * 3 * severity * v[16:18]
    laid = cv2.warpAffine(seen, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    scanned = cv2.resize(laid, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return _coded(
        np.clip(np.rint(255 * scanned), 0, 255), quality=90 - round(40 * severity * u[18])
    )


def _grey(image: npt.NDArray[Any]) -> Plane:
    grey: Plane = (image @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
    return grey


def _dots(ink: Plane, pitch: float, degrees: float, *, spread: float) -> Plane:
    """Where a screen of round dots puts ink, from the share of it that is wanted; 0 or 1 at each point."""
    angle, turns = math.radians(degrees), 2 * math.pi / pitch
    threshold = 0.5 + 0.25 * (
        _waves(len(ink), turns * math.cos(angle), turns * math.sin(angle))
        + _waves(len(ink), -turns * math.sin(angle), turns * math.cos(angle))
    )
    averaged = cv2.GaussianBlur(ink, (0, 0), 0.3 * pitch)
    dots: Plane = (averaged + spread > threshold).astype(np.float32)
    return dots


def _waves(side: int, across: float, down: float) -> Plane:
    """(side, side) cosine of `across` times the column plus `down` times the row."""
    places = np.arange(side)
    x, y = np.exp(1j * across * places), np.exp(1j * down * places)
    waves: Plane = np.outer(y.real, x.real) - np.outer(y.imag, x.imag)
    return waves.astype(np.float32)


def _in_colours(light: npt.NDArray[Any], pitch: float, turn: float, *, spread: float) -> Any:
    """Four inks one over the other; black takes half of what the three share."""
    wanted = 1 - light
    black = 0.5 * wanted.min(axis=2)
    inks = [*np.moveaxis(wanted - black[..., None], 2, 0), black]
    paper = np.ones_like(light)
    for ink, degrees, colour in zip(inks, SCREEN_ANGLES, INK, strict=True):
        dots = _dots(np.ascontiguousarray(ink), pitch, turn + degrees, spread=spread)
        paper = paper * (1 - dots[..., None] * (1 - colour))
    return paper


def _copied(
    light: npt.NDArray[Any], s: float, u: npt.NDArray[np.float64], rng: np.random.Generator
) -> Any:
    """What a copier makes of it: little between black and white, and toner that is not everywhere."""
    grey = cv2.GaussianBlur(_grey(light), (0, 0), FINE * (0.5 + 1.0 * s * u[0]))
    middle = 0.45 + 0.25 * s * (u[1] - 0.5)
    toner = 1 / (1 + np.exp((grey - middle) * (6 + 26 * s)))
    cells = rng.random((SIZE, SIZE)).astype(np.float32)
    speckles = cv2.resize(cells, grey.shape, interpolation=cv2.INTER_NEAREST)
    toner = np.where(speckles < 0.05 * s, 1 - toner, toner)
    return np.repeat((1 - 0.92 * toner)[..., None], 3, axis=2)


def _paper(s: float, strength: float, rng: np.random.Generator) -> Any:
    """Uneven light and fibres: what the page is multiplied by."""
    side = SIZE * FINE
    clouds = rng.random((4, 4)).astype(np.float32)
    wide = cv2.resize(clouds, (side, side), interpolation=cv2.INTER_CUBIC)
    fibres = cv2.resize(rng.random((SIZE, SIZE)).astype(np.float32), (side, side))
    return (1 - s * strength * (0.3 * np.clip(wide, 0, 1) + 0.2 * fibres))[..., None]


def _folded(page: npt.NDArray[Any], u: npt.NDArray[np.float64]) -> Any:
    """A line along which the ink has come off."""
    side = len(page)
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    angle = math.pi * u[0]
    away = np.abs(rows * math.cos(angle) - columns * math.sin(angle) - side * 0.6 * (u[1] - 0.5))
    gone = np.clip(1.5 - away / (FINE * (0.6 + 1.6 * u[2])), 0, 1)[..., None]
    return page * (1 - gone) + 0.95 * gone


def _coded(image: npt.NDArray[Any], *, quality: int) -> Image:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image.astype(np.uint8)[..., ::-1]), settings
    )
    coded: Image = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    return coded
