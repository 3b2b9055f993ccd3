"""Drawn people: face-like crops to try things with. They are drawings, not photos of anybody.

A drawing stands where an aligned crop would: 112x112 pixels, eyes, nose and mouth at the places that
face alignment gives them. The few that `write_crops` writes were chosen so that an embedder tells them apart;
nothing that is measured on them says anything about real faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.degradations.degrade import degrade
from probefusion.errors import ConfigError
from probefusion.extras import import_cv2
from probefusion.files import check_output, making_folders, replace_file, replace_together

__all__ = ["draw_crop", "write_crops"]

_SIDE = 112
_SCALE = 4
"""Drawn four times as large and scaled down, for smooth edges."""

_SKIN = ((245, 214, 190), (224, 180, 148), (188, 138, 102), (141, 95, 66), (96, 64, 46))
_HAIR = ((40, 32, 28), (92, 60, 38), (176, 140, 84), (150, 74, 40), (128, 128, 130))
_IRIS = ((60, 90, 60), (70, 50, 35), (70, 100, 140))
_SEVERITY = 0.85
"""How badly the one poor crop of each person is degraded."""

_CAST = {"person-1": 93, "person-2": 233, "person-3": 165}
"""People that the embedder inside the package takes for different ones; to it many drawn faces look alike."""


@dataclass(frozen=True)
class _Looks:
    """What stays the same in all drawings of a person; lengths in pixels of the crop."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    iris: tuple[int, int, int]
    width: float
    chin: float
    brow: float
    eye: float
    nose: float
    mouth: float
    fringe: float
    has_glasses: bool
    has_beard: bool


def draw_crop(person: int, number: int) -> npt.NDArray[np.uint8]:
    """One crop of a drawn person.

    Args:
        person: Which person, 0 or more; the same number is always the same person.
        number: Which crop: light, pose and background differ.

    Returns:
        (112, 112, 3) uint8 RGB; always the same for the same numbers.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    cv2 = import_cv2("drawing crops")
    rng = np.random.default_rng([person, number, 1])
    looks = _looks(person)
    background = tuple(int(value) for value in rng.integers(60, 200, 3))
    canvas = np.full((_SIDE * _SCALE, _SIDE * _SCALE, 3), background, np.uint8)
    _Pen(cv2, canvas).face(looks, smile=float(rng.uniform(-3, 4)))
    turned = cv2.getRotationMatrix2D((224, 224), float(rng.uniform(-4, 4)), rng.uniform(0.97, 1.04))
    turned[:, 2] += rng.uniform(-6, 6, 2)
    canvas = cv2.warpAffine(canvas, turned, canvas.shape[:2], borderMode=cv2.BORDER_REPLICATE)
    crop = cv2.resize(canvas, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    side = np.linspace(-1, 1, _SIDE, dtype=np.float32) * float(rng.uniform(-0.2, 0.2))
    lit = crop * (float(rng.uniform(0.85, 1.1)) + side[None, :, None])
    lit += rng.normal(0, 3, crop.shape)
    drawn: npt.NDArray[np.uint8] = np.clip(lit, 0, 255).astype(np.uint8)
    return drawn


def write_crops(folder: str | Path, *, num_crops: int = 6, force: bool = False) -> list[Path]:
    """Writes drawn crops of three people as PNG, all or none; the last crop of each is of poor quality.

    Args:
        folder: Folder to make or to write into: `person-1/1.png` and so on, to `person-3`.
        num_crops: Crops of each.
        force: Whether existing files may be replaced.

    Returns:
        The files, person by person.

    Raises:
        ConfigError: If a number is below 1.
        OutputExistsError: If a file exists and `force` is False.
        MissingExtraError: If OpenCV is not installed.
    """
    if num_crops < 1:
        raise ConfigError(f"num_crops: expected at least 1, got {num_crops}.")
    cv2 = import_cv2("drawing crops")
    places = {
        Path(folder) / name / f"{number + 1}.png": (person, number)
        for name, person in _CAST.items()
        for number in range(num_crops)
    }
    with making_folders(*dict.fromkeys(path.parent for path in places)), replace_together():
        for path in places:
            check_output(path, force=force)
        for path, (person, number) in places.items():
            crop = draw_crop(person, number)
            if number == num_crops - 1:
                crop = degrade(crop, _SEVERITY, np.random.default_rng([person, 2]))
            with replace_file(path, force=force) as stream:
                stream.write(cv2.imencode(".png", crop[..., ::-1])[1].tobytes())
    return list(places)


def _looks(person: int) -> _Looks:
    rng = np.random.default_rng([person, 0])

    def some(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    return _Looks(
        skin=_SKIN[int(rng.integers(len(_SKIN)))],
        hair=_HAIR[int(rng.integers(len(_HAIR)))],
        iris=_IRIS[int(rng.integers(len(_IRIS)))],
        width=some(28, 48),
        chin=some(46, 64),
        brow=some(0.6, 5.5),
        eye=some(1.8, 6),
        nose=some(2, 11),
        mouth=some(6, 22),
        fringe=some(2, 38),
        has_glasses=bool(rng.random() < 0.35),
        has_beard=bool(rng.random() < 0.35),
    )


class _Pen:
    """Draws in pixels of the crop on a canvas that is four times as large."""

    def __init__(self, cv2: Any, canvas: npt.NDArray[np.uint8]) -> None:
        self._cv2, self._canvas = cv2, canvas

    def face(self, looks: _Looks, *, smile: float) -> None:
        """Hair, head and everything in it."""
        darker = tuple(int(value * 0.8) for value in looks.skin)
        self.oval((56, 52), (looks.width + 7, looks.chin + 3), looks.hair)
        self.oval((56, 108), (looks.width * 0.55, 20), darker)
        self.oval((56, 60), (looks.width, looks.chin - 6), looks.skin)
        self.oval((56, 8), (looks.width + 2, looks.fringe), looks.hair)
        if looks.has_beard:
            self.oval((56, 100), (looks.width * 0.72, 22), looks.hair)
            self.oval((56, 76), (looks.width * 0.6, 12), looks.skin)
        for x in (38.3, 73.5):
            self.oval((x, 51.6), (looks.eye * 1.9, looks.eye), (245, 245, 242))
            self.oval((x, 51.6), (looks.eye * 0.8, looks.eye * 0.8), looks.iris)
            self.oval((x, 51.6), (looks.eye * 0.4, looks.eye * 0.4), (15, 15, 15))
            self.line((x - 8, 44), (x + 8, 43), looks.hair, looks.brow)
            if looks.has_glasses:
                self.oval((x, 52), (12, 10), (30, 30, 34), thickness=1.4)
        if looks.has_glasses:
            self.line((50, 51), (62, 51), (30, 30, 34), 1.4)
        self.line((56, 54), (54.5, 69), darker, 1.6)
        self.oval((56, 71.7), (looks.nose, 2.6), darker)
        lips = (min(255, looks.skin[0] // 2 + 80), looks.skin[1] // 2 + 10, looks.skin[2] // 2 + 15)
        self.oval((56, 92), (looks.mouth, 3 + abs(smile) * 0.4), lips)
        self.line((56 - looks.mouth, 92 - smile * 0.4), (56 + looks.mouth, 92), (70, 25, 25), 0.8)

    def oval(
        self,
        centre: tuple[float, float],
        axes: tuple[float, float],
        colour: tuple[int, ...],
        *,
        thickness: float | None = None,
    ) -> None:
        """An ellipse, filled or of a line."""
        width = -1 if thickness is None else round(thickness * _SCALE)
        self._cv2.ellipse(
            self._canvas,
            _scaled(centre),
            _scaled(axes),
            0,
            0,
            360,
            colour,
            width,
            self._cv2.LINE_AA,
        )

    def line(
        self,
        begin: tuple[float, float],
        end: tuple[float, float],
        colour: tuple[int, ...],
        thickness: float,
    ) -> None:
        """A straight line."""
        width = max(1, round(thickness * _SCALE))
        self._cv2.line(self._canvas, _scaled(begin), _scaled(end), colour, width, self._cv2.LINE_AA)


def _scaled(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * _SCALE), round(point[1] * _SCALE)
