"""Faces and worse copies of them as a network sees them when it is fed in one way."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.checks import row_norms
from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.embedders.inspection import EmbedderFacts
from probefusion.embedders.spec import EmbedderSpec
from probefusion.extras import import_cv2
from probefusion.faces.images import scale_square
from probefusion.types import FloatArray

__all__ = ["Crops", "FaceView", "FaceViews", "Scale", "Triple", "unit_rows"]

Crops = npt.NDArray[np.uint8]
Triple: TypeAlias = tuple[float, float, float]
Scale: TypeAlias = tuple[Triple, Triple]
"""Mean and std in units of pixel / 255."""

_COPIES = (
    # turn in degrees, zoom, shift right, shift down, pixels to go through, mirrored
    (6.0, 1.05, 3.0, 0.0, 28, False),
    (6.0, 1.05, 3.0, 0.0, 28, True),
    (0.0, 1.00, 0.0, 0.0, 20, False),
    (-8.0, 0.92, -3.0, 2.0, 36, True),
    (4.0, 1.10, 0.0, -4.0, 24, False),
)
_FEW_COPIES = 3
_SAME_PERSON = 0.65
"""Faces at least this share as alike as a face is with its own copies count as one person."""


@dataclass(frozen=True, eq=False)
class FaceView:
    """Embeddings of the faces (N, D) and of each kind of worse copies, for one way of feeding."""

    faces: FloatArray
    copies: list[FloatArray]

    def gaps(self, rows: npt.NDArray[np.intp]) -> FloatArray:
        """(n,) similarity of each face with its own copies, less the mean of that with others'."""
        faces = self.faces[rows]
        gaps: FloatArray = np.mean([_gaps(faces, copy[rows]) for copy in self.copies], axis=0)
        return gaps

    def people(self) -> list[int]:
        """The first face of each group of faces that look like one person."""
        units = unit_rows(self.faces)
        own = float(np.mean([(units * unit_rows(copy)).sum(axis=1) for copy in self.copies]))
        alike = units @ units.T >= _SAME_PERSON * own
        first = np.arange(len(units))
        for _ in first:  # the smallest number spreads through each group
            spread = np.where(alike, first, len(units)).min(axis=1)
            first = np.minimum(first, spread)
        return sorted(set(first.tolist()))


class FaceViews:
    """A network, and the faces and copies that it is to look at in several ways."""

    def __init__(
        self,
        path: str | Path,
        facts: EmbedderFacts,
        crops: Crops,
        *,
        dim: int | None,
        num_threads: int | None,
    ) -> None:
        self._path, self._facts, self._num_threads = path, facts, num_threads
        self._dim = dim or facts.dims[0]
        self._size = facts.input_size or 112
        self._faces = _scaled(crops, self._size)
        self._copies = [_scaled(_worse(crops, *kind), self._size) for kind in _COPIES]

        self._seen: dict[tuple[Scale, str], FaceView] = {}

    def __len__(self) -> int:
        return len(self._faces)

    def few(self, count: int) -> FaceViews:
        """The same network with that many of the faces, spread over all, and the first three kinds of copies."""
        fewer = copy(self)
        fewer._seen = {}
        rows = np.unique(np.linspace(0, len(self._faces) - 1, count).round().astype(int))
        fewer._faces = self._faces[rows]
        fewer._copies = [each[rows] for each in self._copies[:_FEW_COPIES]]
        return fewer

    def embed(self, scale: Scale, order: str) -> FaceView:
        """What it makes of them, kept for the next time; `scale` in the network's channel order."""
        if (scale, order) not in self._seen:
            self._seen[scale, order] = self._embed(scale, order)
        return self._seen[scale, order]

    def _embed(self, scale: Scale, order: str) -> FaceView:
        spec = EmbedderSpec(
            name="trial",
            sha256=self._facts.sha256,
            dim=self._dim,
            input_size=self._size,
            norm_output=self._facts.norm_output,
            channel_order=order,
            mean=scale[0],
            std=scale[1],
        )
        embedder = OnnxEmbedder(self._path, spec, num_threads=self._num_threads)
        return FaceView(
            embedder.embed(self._faces)[0], [embedder.embed(each)[0] for each in self._copies]
        )


def _scaled(crops: Crops, size: int) -> Crops:
    if size == crops.shape[1]:
        return np.ascontiguousarray(crops)
    return np.stack([scale_square(crop, size) for crop in crops])


def _worse(
    crops: Crops, turn: float, zoom: float, right: float, down: float, pixels: int, mirrored: bool
) -> Crops:
    """Turned, zoomed and shifted copies that went through few pixels."""
    cv2 = import_cv2("trying how a network wants its images")
    side = crops.shape[1]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn, zoom)
    matrix[:, 2] += (right, down)
    copies = []
    for crop in crops:
        moved = cv2.warpAffine(crop, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        small = cv2.resize(moved, (pixels, pixels), interpolation=cv2.INTER_AREA)
        blurred = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        copies.append(blurred[:, ::-1] if mirrored else blurred)
    return np.stack(copies)


def _gaps(faces: FloatArray, worse: FloatArray) -> FloatArray:
    """(N,) similarity of each face with its own copy, less the mean of that with the others'."""
    first, second = unit_rows(faces), unit_rows(worse)
    cosines = first @ second.T
    own = np.diag(cosines)
    gaps: FloatArray = (own - (cosines.sum(axis=1) - own) / (len(cosines) - 1)).astype(np.float32)
    return gaps


def unit_rows(embeddings: FloatArray) -> npt.NDArray[np.float64]:
    """Rows of unit length; zero where a row is not finite or has no length (it was fed wrongly)."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        units = embeddings.astype(np.float64) / row_norms(embeddings)[:, None]
    return np.where(np.isfinite(units).all(axis=1, keepdims=True), units, 0)
