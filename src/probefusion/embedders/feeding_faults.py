"""Is a network fed as it was trained? Its settings are tried beside all other usual ones, on the same faces.

What is compared is how well it then tells faces from each other, as `guess_preprocessing` does; but the question
is another one: not which way is the best, but whether one is better than the settings by more than chance, image
by image. A network hardly minds some faults, exchanged channels on poor images most of all; where neither way is
better, that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.embedders.face_views import FaceViews, Scale, Triple
from probefusion.embedders.guess import MIN_FACES, SCALINGS, Feeding, mean_and_std
from probefusion.embedders.spec import EmbedderSpec
from probefusion.types import FloatArray

__all__ = ["AS_STATED", "FeedingCheck", "Preference", "check_feeding", "prefers", "twice"]

AS_STATED = "as stated"
"""Name of the embedder's own scaling where it is none of the usual ones."""

_LEAST_GAIN = 0.005
"""A way of feeding must be better by this; ways that are nearer are equals to any user."""
_LEAST_T = 3.0
"""And by so many standard errors, over the faces."""
_FEW_FACES = 16
_HOPELESS = 0.2
"""Ways whose gap on a few faces is so much narrower than the widest are not tried on all."""
_MIN_GAP = 0.2
_SAME = 0.05
"""Scales that differ by less than this, in units of their deviation, are one."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How much better one way does than another, face by face.

    Args:
        gain: How much wider its gap is on the average.
        t: The gain in standard errors of its mean over the faces.
    """

    gain: float
    t: float

    @property
    def is_clear(self) -> bool:
        """Whether it is better by more than a trifle and more than chance."""
        return self.gain >= _LEAST_GAIN and self.t >= _LEAST_T


@dataclass(frozen=True, kw_only=True)
class FeedingCheck:
    """The settings beside all others.

    Args:
        stated: How the network is fed now.
        best: The way with the widest gap, which may be that.
        over_stated: What the best has over the settings.
        over_exchanged: What the better order of the best scaling has over the other order.
        num_faces: Faces that were looked at.
        num_people: Different people among them.
        is_twice: Whether the stated scale is that of two usual scalings one after the other.
    """

    stated: Feeding
    best: Feeding
    over_stated: Preference
    over_exchanged: Preference
    num_faces: int
    num_people: int
    is_twice: bool

    @property
    def can_be_told(self) -> bool:
        """Whether there are enough people, and the network tells them apart in some way."""
        return self.num_people >= MIN_FACES and self.best.gap >= _MIN_GAP

    @property
    def has_wrong_scaling(self) -> bool:
        """Whether another scaling is better."""
        return self._is_wrong and self.best.scaling != self.stated.scaling

    @property
    def has_exchanged_channels(self) -> bool:
        """Whether the other channel order is better, at the scaling that is the best."""
        is_other = self.best.channel_order != self.stated.channel_order
        return self._is_wrong and is_other and self.over_exchanged.is_clear

    @property
    def order_is_clear(self) -> bool:
        """Whether these faces tell the channel order at all."""
        return self.can_be_told and self.over_exchanged.is_clear

    @property
    def _is_wrong(self) -> bool:
        return self.can_be_told and self.over_stated.is_clear


def check_feeding(
    views: FaceViews, spec: EmbedderSpec, *, people: Sequence[str] | None = None
) -> FeedingCheck:
    """Compares the settings of an embedder with every other usual way of feeding it.

    Args:
        views: The network with (N, 112, 112, 3) aligned upright faces, N >= 2; mates among them do no harm.
        spec: How it is fed now.
        people: N names of the people; None counts them as the network sees them.

    Raises:
        ProbeFusionError: As for `OnnxEmbedder`.
    """
    stated = (_name_of(spec), spec.channel_order)
    ways = _ways(spec, stated)
    few = views.few(_FEW_FACES)
    rough = {key: _mean_gap(few, scale, key[1]) for key, scale in ways.items()}
    widest = max(rough.values())
    kept = [key for key in ways if key == stated or widest - rough[key] < _HOPELESS]
    best_rough = max(rough, key=lambda key: rough[key])
    kept = list(dict.fromkeys([*kept, _exchanged(stated), _exchanged(best_rough)]))
    seen = {key: views.embed(ways[key], key[1]) for key in kept}
    rows = np.arange(len(views))
    gaps = {key: view.gaps(rows) for key, view in seen.items()}
    best = max(gaps, key=lambda key: float(gaps[key].mean()))
    if _exchanged(best) not in gaps:
        gaps[_exchanged(best)] = views.embed(ways[_exchanged(best)], _exchanged(best)[1]).gaps(rows)
    num_people = len(set(people)) if people is not None else len(seen[best].people())
    return FeedingCheck(
        stated=_feeding(stated, gaps),
        best=_feeding(best, gaps),
        over_stated=prefers(gaps[best], gaps[stated]),
        over_exchanged=prefers(gaps[best], gaps[_exchanged(best)]),
        num_faces=len(views),
        num_people=num_people,
        is_twice=twice(spec.mean, spec.std),
    )


def prefers(one: FloatArray, other: FloatArray) -> Preference:
    """How much better the first does than the second.

    Args:
        one: (N,) what a way gives for each face, larger is better.
        other: (N,) what the other way gives for the same faces.
    """
    apart = one.astype(np.float64) - other
    gain = float(apart.mean())
    error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else np.inf
    return Preference(gain=gain, t=0.0 if gain == 0 else gain / max(error, 1e-12))


def twice(mean: Triple, std: Triple) -> bool:
    """Whether a scale is that of two usual scalings one after the other."""
    usual = [SCALINGS["(x/255 - .5)/.5"], SCALINGS["ImageNet mean and std"]]
    for first_mean, first_std in usual:
        for second_mean, second_std in usual:
            both = (
                np.add(first_mean, np.multiply(first_std, second_mean)),
                np.multiply(first_std, second_std),
            )
            if any(_is_near((mean[::step], std[::step]), both) for step in (1, -1)):
                return True
    return False


def _ways(spec: EmbedderSpec, stated: tuple[str, str]) -> dict[tuple[str, str], Scale]:
    """Every way by name and order; the scales in the network's order."""
    ways = {
        (scaling, order): mean_and_std(scaling, order)
        for scaling in SCALINGS
        for order in ("RGB", "BGR")
    }
    ways[stated] = (spec.mean, spec.std)
    if stated[0] == AS_STATED:
        ways[_exchanged(stated)] = (spec.mean[::-1], spec.std[::-1])
    return ways


def _name_of(spec: EmbedderSpec) -> str:
    """Which of the usual scalings the settings are."""
    for scaling in SCALINGS:
        if _is_near((spec.mean, spec.std), mean_and_std(scaling, spec.channel_order)):
            return scaling
    return AS_STATED


def _is_near(one: tuple[npt.ArrayLike, npt.ArrayLike], other: tuple[npt.ArrayLike, ...]) -> bool:
    (mean, std), (usual_mean, usual_std) = map(np.asarray, one), map(np.asarray, other)
    off = np.abs(mean - usual_mean).max() / np.min(usual_std)
    return bool(off < _SAME and np.abs(std / usual_std - 1).max() < _SAME)


def _exchanged(key: tuple[str, str]) -> tuple[str, str]:
    return key[0], "BGR" if key[1] == "RGB" else "RGB"


def _mean_gap(views: FaceViews, scale: Scale, order: str) -> float:
    view = views.embed(scale, order)
    return float(view.gaps(np.arange(len(view.faces))).mean())


def _feeding(key: tuple[str, str], gaps: dict[tuple[str, str], FloatArray]) -> Feeding:
    return Feeding(scaling=key[0], channel_order=key[1], gap=float(gaps[key].mean()))
