"""What an unknown face network wants to be fed, guessed from how well it then tells faces apart.

A network fed as it was trained finds a face alike with blurred, turned and mirrored copies of itself,
and unlike other faces; fed wrongly it confuses them. So each usual way of feeding is tried on a few
faces, and the one with the widest gap is proposed, together with how often resampled faces agree.

That rests on three things, which are looked at too. The faces must be of different people: those that
are as alike as a face is with copies of itself count as one. The proposal must be better than the next
one by more than a trifle. And it must not become better by a shift or a stretch of its scale, which would
mean that the network was trained on a scale that was not tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.checks import row_norms
from probefusion.embedders.face_views import Crops, FaceView, FaceViews, Scale, Triple
from probefusion.embedders.inspection import EmbedderFacts
from probefusion.errors import DtypeError, FileFormatError, InvalidInputError, ShapeError
from probefusion.types import UNIT_TOLERANCE, FloatArray

__all__ = [
    "MIN_FACES",
    "SCALINGS",
    "Feeding",
    "PreprocessingGuess",
    "guess_preprocessing",
    "mean_and_std",
]

MIN_FACES = 8
"""Fewer faces than this say too little."""

SCALINGS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "(x/255 - .5)/.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "x/255": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "x, 0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    "ImageNet mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "x less 127.5": ((0.5, 0.5, 0.5), (1 / 255, 1 / 255, 1 / 255)),
    "x less VGGFace2 mean": (
        (131.0912 / 255, 103.8827 / 255, 91.4953 / 255),
        (1 / 255, 1 / 255, 1 / 255),
    ),
    "x less Caffe's ImageNet mean": (
        (123.68 / 255, 116.779 / 255, 103.939 / 255),
        (1 / 255, 1 / 255, 1 / 255),
    ),
}
"""Usual scalings: mean and std in units of pixel / 255, in the order red, green, blue.

(x - 127.5)/128 is so near to the first that they cannot be told apart, and need not be. The three means
that are taken from x as it is are near to each other too: mostly they do as well within a trifle.
"""

_ROUNDS = 1000
_SURE, _LIKELY = 0.95, 0.8
_NORM_SAYS_QUALITY, _NORM_SAYS_NOTHING = 0.85, 0.75
_MIN_GAP = 0.2
"""A network with a smaller gap hardly tells faces apart, however it is fed."""
_NEAR = 0.005
"""Gaps that differ by less are as good as equal."""
_BETTER = 0.01
"""A shifted or stretched scale whose gap is wider by more says that the right one was not tried."""
_SHIFT, _STRETCH = 0.2, 1.4
_NEARLY_BEST = 0.9
"""People are counted as each feeding sees them whose gap is this share of the widest; the fewest count."""


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
        mean, std = mean_and_std(self.scaling, self.channel_order)
        return {"channel_order": self.channel_order, "mean": mean, "std": std}


@dataclass(frozen=True, kw_only=True)
class PreprocessingGuess:
    """The proposal and what speaks for it.

    Args:
        feedings: All that were tried, the best first.
        num_faces: Faces that were given.
        num_people: Different people among them, as the network sees them; the figures rest on one face of
            each, or on all faces where there are fewer than `MIN_FACES` people.
        gain_elsewhere: How much wider the gap becomes where the proposed scale is shifted or stretched, at
            most; below 0 where it becomes narrower everywhere.
        scaling_agreement: Share of the resamples of the faces that prefer the proposed scaling.
        order_agreement: Share of them that prefer the proposed channel order, at that scaling.
        norm_falls: Share of the worse copies whose embedding is shorter than their face's, or None
            where the network gives unit vectors.
        other_doubts: What was found elsewhere that makes the proposal doubtful, as faces that are turned, in words.
    """

    feedings: tuple[Feeding, ...]
    num_faces: int
    num_people: int
    gain_elsewhere: float
    scaling_agreement: float
    order_agreement: float
    norm_falls: float | None
    other_doubts: tuple[str, ...] = ()

    @property
    def best(self) -> Feeding:
        """The proposal."""
        return self.feedings[0]

    @property
    def near_equals(self) -> tuple[Feeding, ...]:
        """Other feedings that do as well as the proposal, within a trifle."""
        return tuple(
            feeding for feeding in self.feedings[1:] if self.best.gap - feeding.gap < _NEAR
        )

    @property
    def confidence(self) -> str:
        """`"sure"`, `"likely"` or `"unsure"`.

        Sure: both agreements are high, no other feeding does as well, and a shifted or stretched scale is
        better by less than .005. Unsure: an agreement is low, or one of the `doubts` holds, as where such a
        scale is better by more than .01.
        """
        agreement = min(self.scaling_agreement, self.order_agreement)
        if self.doubts or agreement < _LIKELY:
            return "unsure"
        is_clear = not self.near_equals and self.gain_elsewhere < _NEAR
        return "sure" if agreement >= _SURE and is_clear else "likely"

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing can be said with any certainty, in words; () where nothing speaks against it."""
        found = list(self.other_doubts)
        if self.num_people < MIN_FACES:
            found.append(
                f"the {self.num_faces} faces look like {self.num_people} different people, expected at least "
                f"{MIN_FACES}: give one face each of different people"
            )
        if self.best.gap < _MIN_GAP:
            found.append(f"even so it hardly tells faces apart (gap {self.best.gap:.2f})")
        if self.gain_elsewhere > _BETTER:
            found.append(
                f"with its scale shifted or stretched it tells faces apart better still (gap wider by "
                f"{self.gain_elsewhere:.3f}), so it was probably trained on one that was not tried"
            )
        return tuple(found)

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
    views = FaceViews(path, facts, crops, dim=dim, num_threads=num_threads)
    seen = {
        (scaling, order): views.embed(mean_and_std(scaling, order), order)
        for scaling in SCALINGS
        for order in ("RGB", "BGR")
    }
    everybody = np.arange(len(crops))
    people = _one_of_each(seen, everybody)
    rows = people if len(people) >= MIN_FACES else everybody
    gaps = {key: view.gaps(rows) for key, view in seen.items()}
    ranked = sorted(gaps, key=lambda key: -float(gaps[key].mean()))
    best = ranked[0]
    scaling_agreement, order_agreement = _agreements(gaps, best)
    elsewhere = [views.embed(scale, best[1]) for scale in _around(*mean_and_std(*best))]
    return PreprocessingGuess(
        feedings=tuple(
            Feeding(scaling=scaling, channel_order=order, gap=float(gaps[scaling, order].mean()))
            for scaling, order in ranked
        ),
        num_faces=len(crops),
        num_people=len(people),
        gain_elsewhere=max(float((view.gaps(rows) - gaps[best]).mean()) for view in elsewhere),
        scaling_agreement=scaling_agreement,
        order_agreement=order_agreement,
        norm_falls=_norm_falls(seen[best]),
    )


def mean_and_std(scaling: str, order: str) -> Scale:
    """A scaling in the network's channel order."""
    mean, std = SCALINGS[scaling]
    return (mean, std) if order == "RGB" else (mean[::-1], std[::-1])


def _around(mean: Triple, std: Triple) -> list[Scale]:
    """A scale shifted and stretched both ways."""
    shifted = [(_moved(mean, step, 1.0), std) for step in (_SHIFT, -_SHIFT)]
    stretched = [(mean, _moved(std, 0.0, factor)) for factor in (_STRETCH, 1 / _STRETCH)]
    return shifted + stretched


def _moved(values: Triple, step: float, factor: float) -> Triple:
    first, second, third = (value * factor + step for value in values)
    return first, second, third


def _one_of_each(
    seen: dict[tuple[str, str], FaceView], everybody: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """One face of each person, by that feeding among the nearly best ones that sees the fewest people."""
    gaps = {key: float(view.gaps(everybody).mean()) for key, view in seen.items()}
    widest = max(gaps.values())
    least = widest - (1 - _NEARLY_BEST) * abs(widest)
    people = [view.people() for key, view in seen.items() if gaps[key] >= least]
    return np.array(min(people, key=len))


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


def _norm_falls(view: FaceView) -> float | None:
    before = row_norms(view.faces)
    after = np.stack([row_norms(copy) for copy in view.copies])
    if np.abs(np.concatenate([before, after.ravel()]) - 1).max() <= UNIT_TOLERANCE:
        return None
    return float((after < before).mean())
