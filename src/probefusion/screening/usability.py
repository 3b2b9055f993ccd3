"""How far a template can be used, from its fusion state alone.

The estimate is what a comparison with one clean image of the same person would give: the median, and an
interval for 90 of 100 sets. It is made of few numbers of a state (`StateFacts`) by linear formulas whose constants
are measured for one fuser and one embedder (`probefusion.screening.fit_usability`).

In the words of ISO/IEC 29794-1 it is a quality component that predicts the utility of a template, not of an
image; `Usability.quality` puts it on the scale of 0 to 100 that the standard uses. No conformance is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    ShapeError,
)
from probefusion.fusion.contributions import Sums
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types.fusion_state import FusionState
from probefusion.types.usability import NUMBERS, Usability, Verdict

__all__ = ["StateFacts", "Usability", "Verdict", "judge_state", "judge_states", "predict_states"]

_Floats = npt.NDArray[np.float64]

TERMS = (
    "1",
    "appearance",
    "log_weight",
    "coherence",
    "coherence^2",
    "variety",
    "appearance*coherence",
    "appearance*variety",
    "log_weight*coherence",
    "coherence*variety",
)
"""The terms of the formulas for the median and the ends of the interval, in order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StateFacts:
    """The numbers of B states that the formulas see.

    Args:
        num_images: (B,) images.
        log_weight: (B,) mean weight of an image, natural logarithm.
        coherence: (B,) length of the weighted sum over the mass, 0 to 1: 1 for one image, or copies of it.
        variety: (B,) log(1 + N (1 - coherence^2)): how many images that differ; 0 for one image or copies.
        looks: (B, D + S) direction of the sum, and the mean style token: where the images lie.
    """

    num_images: _Floats
    log_weight: _Floats
    coherence: _Floats
    variety: _Floats
    looks: _Floats

    @staticmethod
    def of(states: Sums, num_images: npt.ArrayLike) -> StateFacts:
        """Of B states and their numbers of images, (B,).

        Raises:
            EmptySetError: If a state holds no image.
        """
        counts = np.asarray(num_images, dtype=np.float64)
        if (counts < 1).any():
            raise EmptySetError("state: expected at least 1 image, got none. Add images to it.")
        mass = states.mass.sum(axis=1)
        vectors = states.sums.sum(axis=1)
        lengths = np.sqrt(np.einsum("bd,bd->b", vectors, vectors))
        coherence = np.clip(lengths / mass, 0.0, 1.0)
        directions = vectors / np.maximum(lengths, 1e-300)[:, None]
        style = states.style_sums.sum(axis=1) / mass[:, None]
        return StateFacts(
            num_images=counts,
            log_weight=np.log(mass / counts),
            coherence=coherence,
            variety=np.log1p(np.maximum(counts * (1 - coherence**2), 0.0)),
            looks=np.concatenate([directions, style], axis=1),
        )

    def terms(self, appearance: _Floats) -> _Floats:
        """(B, T) of `TERMS`, with the linear score of the looks, (B,)."""
        weight, coherence, variety = self.log_weight, self.coherence, self.variety
        return np.stack(
            [
                np.ones_like(weight),
                appearance,
                weight,
                coherence,
                coherence**2,
                variety,
                appearance * coherence,
                appearance * variety,
                weight * coherence,
                coherence * variety,
            ],
            axis=1,
        )


def judge_state(state: FusionState, record: UsabilityRecord) -> Usability:
    """What can be expected of the template of a state.

    Args:
        state: The state.
        record: What was measured for its fuser and embedder.

    Raises:
        FuserMismatchError: If the record is of another fuser.
        EmbedderMismatchError: If it is of another embedder, or the state does not say which made it.
        EmptySetError: If the state holds no images.
        ShapeError: If the state has other sizes than those that were measured.
    """
    if state.fuser != record.fuser:
        raise FuserMismatchError(
            f"state: expected one of {record.fuser}, for which usability was measured, got "
            f"{state.fuser}. Take the usability.json of that fuser."
        )
    if state.embedder != record.embedder:
        raise EmbedderMismatchError(
            f"state: expected embeddings of {record.embedder}, for which usability was measured, got "
            f"{state.embedder or 'some of an embedder that nobody named'}."
        )
    one = Sums(state.mass[None], state.sums[None], state.style_sums[None])
    return judge_states(one, [state.num_images], record)[0]


def judge_states(
    states: Sums, num_images: npt.ArrayLike, record: UsabilityRecord
) -> list[Usability]:
    """As `judge_state`, of B states of the record's fuser and embedder.

    Raises:
        EmptySetError, ShapeError: As for `judge_state`.
    """
    found = map(Usability.of_numbers, predict_states(states, num_images, record).tolist())
    return [usability for usability in found if usability is not None]


def predict_states(states: Sums, num_images: npt.ArrayLike, record: UsabilityRecord) -> _Floats:
    """As `judge_states`, as the numbers that files keep: (B, 5), see `probefusion.types.usability.NUMBERS`.

    Raises:
        EmptySetError, ShapeError: As for `judge_state`.
    """
    facts = StateFacts.of(states, num_images)
    scores, formulas = record.matrices
    if facts.looks.shape[1] != len(scores):
        raise ShapeError(
            f"state: expected {len(scores)} numbers of direction and style, as usability was "
            f"measured with, got {facts.looks.shape[1]}."
        )
    likeness, appearance = (
        facts.looks @ scores + (record.likeness_offset, record.appearance_offset)
    ).T
    low, middle, high = np.clip(facts.terms(appearance) @ formulas, -1.0, 1.0).T
    found = np.empty((len(middle), len(NUMBERS)))
    found[:, 0] = middle
    found[:, 1] = np.minimum(low, middle)
    found[:, 2] = np.maximum(high, middle)
    found[:, 3:] = record.level, record.false_match_rate
    found[likeness < record.least_likeness, :3] = 0.0, np.nan, np.nan
    return found
