"""Are crops upright, in RGB, and cut out as embedders want them? The package's quality network tells.

The quality network was trained on aligned crops, and gives a face that stands otherwise less. So each usual fault is
undone, and where the images become better by that, image by image, the fault was there. This needs neither labels
nor a face detector, and nothing of the embedder. What it cannot tell: whether images are mirrored, as a face and its
mirror image are as good as each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality
from probefusion.extras import import_cv2
from probefusion.types import FloatArray

__all__ = ["GEOMETRIES", "CropCheck", "Geometry", "blank_rows", "check_crops", "undo_geometry"]

Crops = npt.NDArray[np.uint8]

_SIDE = 112

_TURN_GAIN = 1.0
"""Per image, in units of the quality (log weights within 4). Of 400 right crops of LFW, FIW, YTF and IMFDB no turned
copy was better by more than .14; of turned ones the right one is better by 2 to 5."""
_EXCHANGE_GAIN = 0.15
_GEOMETRY_GAIN = 0.05
"""On the average over the images. Twelve sets of 50 right crops became worse by every change, by .016 to .15 by the one
that did the least harm."""
_LEAST_T = 2.5
"""And in standard errors over the images."""
_ONE_EXCHANGE_GAIN = 0.45
"""Per image, where only a part of the images is concerned; right ones stayed below .37."""
_FEW = 8
"""Images from which an average says something."""
_LEAST_SHARE = 0.05
_POOR = -2.0
"""Where the average is below this however they are turned, these are hardly faces."""
_ROUNDS = 2
_BLANK = 3.0
"""Images of which no channel deviates more than this from its mean, of 255, are of one colour; JPEG leaves so much."""
_GREY = 3.0
"""Images whose channels differ by less than this on the average, of 255, have no colours."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A fault of how crops were cut, by what undoes it.

    Args:
        fault: "loose", "tight", "narrow", "wide", "flat", "tall" or "shifted".
        across: Factor that undoes it, across.
        down: Factor that undoes it, downwards.
        right: Pixels of 112 to move to the right.
        below: Pixels of 112 to move down.
    """

    fault: str
    across: float = 1.0
    down: float = 1.0
    right: float = 0.0
    below: float = 0.0


GEOMETRIES = (
    Geometry(fault="loose", across=1.1, down=1.1),
    Geometry(fault="loose", across=1.2, down=1.2),
    Geometry(fault="loose", across=1.45, down=1.45),
    Geometry(fault="loose", across=1.8, down=1.8),
    Geometry(fault="tight", across=0.91, down=0.91),
    Geometry(fault="tight", across=0.83, down=0.83),
    Geometry(fault="tight", across=0.7, down=0.7),
    Geometry(fault="narrow", across=1.15),
    Geometry(fault="narrow", across=1.3),
    Geometry(fault="wide", across=0.87),
    Geometry(fault="wide", across=0.77),
    Geometry(fault="flat", down=1.15),
    Geometry(fault="flat", down=1.3),
    Geometry(fault="tall", down=0.87),
    Geometry(fault="tall", down=0.77),
    Geometry(fault="shifted", below=-8),
    Geometry(fault="shifted", below=8),
    Geometry(fault="shifted", right=-8),
    Geometry(fault="shifted", right=8),
)
"""What is tried; a face that is too narrow is made wider, and so on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CropCheck:
    """What became better when it was undone.

    Args:
        quality: Mean quality of the crops as they are.
        turns: (N,) integers, quarter turns against the clock that bring each image upright.
        is_exchanged: (N,) bool, images that are better with red and blue exchanged; all or none where they are
            judged together.
        exchange_gain: How much better the images become on the average by that.
        geometries: How they were cut wrongly, () if not; two if a second one was found after the first was undone.
        geometry_gains: How much better they become by undoing each.
        is_grey: Whether the images have no colours.
        corrected: (N, 112, 112, 3) uint8 RGB, the crops with everything undone that was found.
    """

    quality: float
    turns: npt.NDArray[np.int64]
    is_exchanged: npt.NDArray[np.bool_]
    exchange_gain: float
    geometries: tuple[Geometry, ...]
    geometry_gains: tuple[float, ...]
    is_grey: bool
    corrected: Crops

    @property
    def turned(self) -> Mapping[int, int]:
        """How many images stand turned by 90, 180 and 270 degrees with the clock; only those that occur."""
        return {
            90 * turn: int((self.turns == turn).sum()) for turn in (1, 2, 3) if turn in self.turns
        }

    @property
    def num_exchanged(self) -> int:
        """How many images have red and blue exchanged."""
        return int(self.is_exchanged.sum())

    @property
    def is_faulty(self) -> bool:
        """Whether anything was found."""
        return bool(self.turned or self.num_exchanged or self.geometries)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why these faces are no measure for an embedder's settings, in words; () where they are."""
        found = []
        if self.turned:
            found.append(f"{sum(self.turned.values())} of {len(self.turns)} faces are turned")
        if self.num_exchanged:
            found.append(
                f"{self.num_exchanged} of {len(self.turns)} faces have red and blue exchanged"
            )
        if self.is_grey:
            found.append("the faces have no colours, so nothing tells the channel order")
        found += [f"faces are cut wrongly ({one.fault})" for one in self.geometries]
        return tuple(found)

    @property
    def shows_faces(self) -> bool:
        """Whether the quality network sees faces at all, after all that was undone."""
        return self.quality > _POOR or self.is_faulty


def check_crops(crops: Crops, quality: CropQuality, *, judges_cut: bool = True) -> CropCheck:
    """Undoes each usual fault and looks whether the images become better.

    Turned images are told one by one, so a part of them is found; how they are cut is judged of all together,
    which needs 8 images.

    Args:
        crops: (N, 112, 112, 3) uint8 RGB, N >= 1.
        quality: The quality network.
        judges_cut: Whether to look at how they were cut; False for crops that are not to be cut as ArcFace's.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    before = quality.judge(crops)
    turns = _turns(crops, before, quality)
    upright = np.stack([np.rot90(crop, turn) for crop, turn in zip(crops, turns, strict=True)])
    is_grey = _is_grey(upright)
    seen = quality.judge(upright) if turns.any() else before
    gain = quality.judge(upright[..., ::-1].copy()) - seen
    is_exchanged = np.zeros(len(crops), bool) if is_grey else _exchanged(seen, gain)
    coloured = np.where(is_exchanged[:, None, None, None], upright[..., ::-1], upright)
    seen = np.where(is_exchanged, seen + gain, seen)
    geometries, gains, cut = _cut(coloured, seen, quality if judges_cut else None)
    return CropCheck(
        quality=float(before.mean()),
        turns=turns,
        is_exchanged=is_exchanged,
        exchange_gain=float(gain[is_exchanged].mean() if is_exchanged.any() else gain.mean()),
        geometries=geometries,
        geometry_gains=gains,
        is_grey=is_grey,
        corrected=cut,
    )


def blank_rows(crops: Crops) -> npt.NDArray[np.bool_]:
    """(N,) which images are of one colour.

    Args:
        crops: (N, S, S, 3) uint8.
    """
    spread: npt.NDArray[np.float64] = crops.std(axis=(1, 2)).max(axis=1)
    is_blank: npt.NDArray[np.bool_] = spread < _BLANK
    return is_blank


def undo_geometry(crops: Crops, geometry: Geometry) -> Crops:
    """Crops cut anew about their middle; what lay outside repeats the edge.

    Args:
        crops: (N, S, S, 3) uint8.
        geometry: What undoes the fault.
    """
    cv2 = import_cv2("looking at how crops were cut")
    side = crops.shape[1]
    middle, unit = (side - 1) / 2, side / _SIDE
    matrix = np.array(
        [
            [geometry.across, 0, middle * (1 - geometry.across) + geometry.right * unit],
            [0, geometry.down, middle * (1 - geometry.down) + geometry.below * unit],
        ]
    )
    return np.stack(
        [
            cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
            for crop in crops
        ]
    )


def _turns(crops: Crops, before: FloatArray, quality: CropQuality) -> npt.NDArray[np.int64]:
    gains = [np.full(len(crops), _TURN_GAIN)]
    gains += [quality.judge(np.rot90(crops, turn, (1, 2)).copy()) - before for turn in (1, 2, 3)]
    turns: npt.NDArray[np.int64] = np.argmax(gains, axis=0)
    return turns


def _exchanged(seen: FloatArray, gain: FloatArray) -> npt.NDArray[np.bool_]:
    """All images where the average says so, else those that say so each, if they are not too few."""
    if (seen + gain).mean() > _POOR and _is_clear(gain, _EXCHANGE_GAIN):
        return np.ones(len(gain), bool)
    each = (gain >= _ONE_EXCHANGE_GAIN) & (seen + gain > _POOR)
    is_part = each.sum() >= max(2, _LEAST_SHARE * len(gain))
    return each if is_part else np.zeros(len(gain), bool)


def _cut(
    crops: Crops, seen: FloatArray, quality: CropQuality | None
) -> tuple[tuple[Geometry, ...], tuple[float, ...], Crops]:
    found: list[tuple[Geometry, float]] = []
    if quality is None or len(crops) < _FEW:
        return (), (), crops
    for _ in range(_ROUNDS):
        best = max(_tried(crops, quality), key=lambda tried: float((tried[1] - seen).mean()))
        geometry, judged, corrected = best
        if judged.mean() < _POOR or not _is_clear(judged - seen, _GEOMETRY_GAIN):
            break
        found.append((geometry, float((judged - seen).mean())))
        crops, seen = corrected, judged
    return tuple(geometry for geometry, _ in found), tuple(gain for _, gain in found), crops


def _tried(crops: Crops, quality: CropQuality) -> Iterator[tuple[Geometry, FloatArray, Crops]]:
    for geometry in GEOMETRIES:
        corrected = undo_geometry(crops, geometry)
        yield geometry, quality.judge(corrected), corrected


def _is_clear(gain: FloatArray, least: float) -> bool:
    if len(gain) < 2 or gain.mean() < least:
        return False
    return bool(gain.mean() >= _LEAST_T * gain.std(ddof=1) / np.sqrt(len(gain)))


def _is_grey(crops: Crops) -> bool:
    apart = np.abs(crops[..., 0].astype(np.int16) - crops[..., 2])
    return float(apart.mean()) < _GREY
