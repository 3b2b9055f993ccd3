"""What an unknown face network wants to be fed, guessed from how well it then tells faces apart.

A network fed as it was trained finds a face alike with blurred, turned and mirrored copies of itself,
and unlike other faces; fed wrongly it confuses them. So each usual way of feeding is tried on a few
faces, and the one with the widest gap is proposed, together with how often resampled faces agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import row_norms
from probefusion.embedders import EmbedderFacts, EmbedderSpec, OnnxEmbedder
from probefusion.errors import DtypeError, FileFormatError, InvalidInputError, ShapeError
from probefusion.extras import import_cv2
from probefusion.faces.images import scale_square
from probefusion.types import UNIT_TOLERANCE, FloatArray

__all__ = ["MIN_FACES", "SCALINGS", "Feeding", "PreprocessingGuess", "guess_preprocessing"]

MIN_FACES = 8
"""Fewer faces than this say too little."""

SCALINGS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "(x/255 - .5)/.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "x/255": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "x, 0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    "ImageNet mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Usual scalings: mean and std in units of pixel / 255, in the order red, green, blue.

(x - 127.5)/128 is so near to the first that they cannot be told apart, and need not be.
"""

_COPIES = (
    # turn in degrees, zoom, shift right, shift down, pixels to go through, mirrored
    (6.0, 1.05, 3.0, 0.0, 28, False),
    (6.0, 1.05, 3.0, 0.0, 28, True),
    (0.0, 1.00, 0.0, 0.0, 20, False),
    (-8.0, 0.92, -3.0, 2.0, 36, True),
    (4.0, 1.10, 0.0, -4.0, 24, False),
)
_ROUNDS = 1000
_SURE, _LIKELY = 0.95, 0.8
_NORM_SAYS_QUALITY, _NORM_SAYS_NOTHING = 0.85, 0.75
_MIN_GAP = 0.2
"""A network with a smaller gap hardly tells faces apart, however it is fed."""

Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """One way of feeding a network.

    Args:
        scaling: A name in `SCALINGS`.
        channel_order: `"RGB"` or `"BGR"`.
        gap: Mean similarity (cosine) of a face with worse copies of itself, less that with other
            faces' copies.
    """

    scaling: str
    channel_order: str
    gap: float

    @property
    def settings(self) -> dict[str, object]:
        """As fields of `EmbedderSpec`."""
        mean, std = SCALINGS[self.scaling]
        step = 1 if self.channel_order == "RGB" else -1
        return {"channel_order": self.channel_order, "mean": mean[::step], "std": std[::step]}


@dataclass(frozen=True, kw_only=True)
class PreprocessingGuess:
    """The proposal and what speaks for it.

    Args:
        feedings: All that were tried, the best first.
        num_faces: Faces it rests on.
        scaling_agreement: Share of the resamples of the faces that prefer the proposed scaling.
        order_agreement: Share of them that prefer the proposed channel order, at that scaling.
        norm_falls: Share of the worse copies whose embedding is shorter than their face's, or None
            where the network gives unit vectors.
    """

    feedings: tuple[Feeding, ...]
    num_faces: int
    scaling_agreement: float
    order_agreement: float
    norm_falls: float | None

    @property
    def best(self) -> Feeding:
        """The proposal."""
        return self.feedings[0]

    @property
    def confidence(self) -> str:
        """`"sure"`, `"likely"` or `"unsure"`, by the weaker of the two agreements.

        Also unsure if even the best feeding hardly tells faces apart.
        """
        agreement = min(self.scaling_agreement, self.order_agreement)
        if self.best.gap < _MIN_GAP:
            return "unsure"
        return "sure" if agreement >= _SURE else "likely" if agreement >= _LIKELY else "unsure"

    @property
    def norm_is_quality(self) -> bool | None:
        """Whether the length of an embedding tells the quality of its image; None when not clear."""
        if self.norm_falls is None or _NORM_SAYS_NOTHING <= self.norm_falls < _NORM_SAYS_QUALITY:
            return None
        return self.norm_falls >= _NORM_SAYS_QUALITY


def guess_preprocessing(
    path: str | Path,
    facts: EmbedderFacts,
    crops: Crops,
    *,
    dim: int | None = None,
    num_threads: int | None = None,
) -> PreprocessingGuess:
    """Tries every usual way of feeding a network on a few faces.

    Args:
        path: The `.onnx` file.
        facts: What `inspect_embedder` says of it.
        crops: (N, 112, 112, 3) uint8 RGB, aligned faces of N different people, N >= `MIN_FACES`.
        dim: D, where the file has several outputs that could be the embedding.
        num_threads: Threads to use; None for one per core.

    Raises:
        InvalidInputError: If there are too few faces, or all are alike.
        ShapeError, DtypeError: If they are no such crops.
        FileFormatError: If it is not clear which output is the embedding.
        ProbeFusionError: As for `OnnxEmbedder`.
    """
    _check(crops)
    if dim is None and len(facts.dims) != 1:
        raise FileFormatError(
            f"{Path(path).name}: expected one output that can be the embedding, got the outputs "
            f"{facts.outputs}. Say its dimension with dim."
        )
    size = facts.input_size or 112
    clean = _scaled(crops, size)
    copies = [_scaled(_worse(crops, *copy), size) for copy in _COPIES]
    gaps: dict[tuple[str, str], FloatArray] = {}
    falls: dict[tuple[str, str], float | None] = {}
    for scaling in SCALINGS:
        for order in ("RGB", "BGR"):
            trial = Feeding(scaling=scaling, channel_order=order, gap=0.0)
            spec = EmbedderSpec(
                name="trial",
                sha256=facts.sha256,
                dim=dim or facts.dims[0],
                input_size=size,
                norm_output=facts.norm_output,
                **trial.settings,  # type: ignore[arg-type]
            )
            embedder = OnnxEmbedder(path, spec, num_threads=num_threads)
            faces = embedder.embed(clean)[0]
            others = [embedder.embed(copy)[0] for copy in copies]
            gaps[scaling, order] = np.mean([_gaps(faces, worse) for worse in others], axis=0)
            falls[scaling, order] = _norm_falls(faces, others)
    ranked = sorted(gaps, key=lambda key: -float(gaps[key].mean()))
    scaling_agreement, order_agreement = _agreements(gaps, ranked[0])
    return PreprocessingGuess(
        feedings=tuple(
            Feeding(scaling=scaling, channel_order=order, gap=float(gaps[scaling, order].mean()))
            for scaling, order in ranked
        ),
        num_faces=len(crops),
        scaling_agreement=scaling_agreement,
        order_agreement=order_agreement,
        norm_falls=falls[ranked[0]],
    )


def _check(crops: Crops) -> None:
    if crops.ndim != 4 or crops.shape[1:] != (112, 112, 3):
        raise ShapeError(f"crops: expected (N, 112, 112, 3), got {crops.shape}.")
    if crops.dtype != np.uint8:
        raise DtypeError(f"crops: expected uint8, got {crops.dtype}.")
    num_different = len({crop.tobytes() for crop in crops})
    if num_different < MIN_FACES:
        raise InvalidInputError(
            f"crops: expected at least {MIN_FACES} different faces, got {num_different}. Give "
            f"aligned 112x112 crops of different people."
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
    first, second = _units(faces), _units(worse)
    cosines = first @ second.T
    own = np.diag(cosines)
    gaps: FloatArray = (own - (cosines.sum(axis=1) - own) / (len(cosines) - 1)).astype(np.float32)
    return gaps


def _units(embeddings: FloatArray) -> npt.NDArray[np.float64]:
    """Rows of unit length; zero where a row is not finite or has no length (it was fed wrongly)."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        units = embeddings.astype(np.float64) / row_norms(embeddings)[:, None]
    return np.where(np.isfinite(units).all(axis=1, keepdims=True), units, 0)


def _agreements(
    gaps: dict[tuple[str, str], FloatArray], best: tuple[str, str]
) -> tuple[float, float]:
    """How many bootstrap resamples of the faces prefer the scaling, and the order, of the best."""
    keys = list(gaps)
    count = len(gaps[best])
    chosen = np.random.default_rng(0).integers(0, count, (_ROUNDS, count))
    means = np.stack([gaps[key][chosen].mean(axis=1) for key in keys])
    same_scaling = np.array([key[0] == best[0] for key in keys])
    scaling = float(same_scaling[means.argmax(axis=0)].mean())
    other = (best[0], "BGR" if best[1] == "RGB" else "RGB")
    return scaling, float((means[keys.index(best)] > means[keys.index(other)]).mean())


def _norm_falls(faces: FloatArray, copies: list[FloatArray]) -> float | None:
    before, after = row_norms(faces), np.stack([row_norms(copy) for copy in copies])
    if np.abs(np.concatenate([before, after.ravel()]) - 1).max() <= UNIT_TOLERANCE:
        return None
    return float((after < before).mean())
