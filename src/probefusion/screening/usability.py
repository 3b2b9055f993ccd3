"""How far a template can be used, from its fusion state alone.

The estimate is what a comparison with one clean image of the same person would give: the median, and an
interval for 90 of 100 sets. It is made of few numbers of a state (`StateFacts`) by linear formulas whose constants
are measured for one fuser and one embedder (`probefusion.screening.fit_usability`).

In the words of ISO/IEC 29794-1 it is a quality component that predicts the utility of a template, not of an
image; `Usability.quality` puts it on the scale of 0 to 100 that the standard uses. No conformance is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    NotUsableError,
    ShapeError,
)
from probefusion.fusion.contributions import Sums
from probefusion.fusion.threshold import level_in_words, rate_in_words
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types.fusion_state import FusionState

__all__ = ["StateFacts", "Usability", "Verdict", "judge_state", "judge_states"]

Verdict = Literal["usable", "doubtful", "not usable", "not known"]

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


@dataclass(frozen=True, kw_only=True)
class Usability:
    """What can be expected of a template.

    Args:
        similarity: Predicted cosine with one clean image of the person, fused alone; None where nothing is known.
        interval: Lower and upper end for 90 of 100 sets; None where nothing is known.
        level: The similarity below which a comparison would fail at the false match rate of the record.
        verdict: "usable" if the prediction reaches the level, "doubtful" if only the upper end of the interval
            does, "not usable" if not even that, or if the images are no faces; "not known".
        reason: Why, in words; "" where the template is usable.

    Raises:
        NotUsableError: By `refuse`, if the template is not usable.
    """

    similarity: float | None
    interval: tuple[float, float] | None
    level: float | None
    verdict: Verdict
    reason: str = ""

    @staticmethod
    def unknown(reason: str) -> Usability:
        """Nothing is known, because of what `reason` says."""
        return Usability(
            similarity=None, interval=None, level=None, verdict="not known", reason=reason
        )

    @property
    def quality(self) -> int | None:
        """The prediction on the scale of 0 to 100; 0 for what is no face, None where nothing is known."""
        if self.similarity is None:
            return None
        return 0 if self.interval is None else round(100 * min(1.0, max(0.0, self.similarity)))

    @property
    def is_not_usable(self) -> bool:
        """Whether the template must not be relied on."""
        return self.verdict == "not usable"

    def refuse(self, name: str = "images") -> None:
        """Refuses a template that is not usable; for callers that want no such template at all.

        Args:
            name: Whose images they are, for the message.

        Raises:
            NotUsableError: If the verdict is "not usable".
        """
        if self.is_not_usable:
            raise NotUsableError(
                f"{name}: their template is not usable: {self.reason}. Give better images of the person."
            )

    def __str__(self) -> str:
        """The verdict with its numbers, in a line."""
        if self.similarity is None:
            return f"usability not known: {self.reason}"
        if self.interval is None:
            return f"not usable: {self.reason}"
        low, high = self.interval
        numbers = (
            f"predicted similarity to a clean image {self.similarity:.2f} ({low:.2f} to {high:.2f})"
        )
        return f"{self.verdict}: {numbers}" + (f"; {self.reason}" if self.reason else "")


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
    facts = StateFacts.of(states, num_images)
    if facts.looks.shape[1] != len(record.appearance):
        raise ShapeError(
            f"state: expected {len(record.appearance)} numbers of direction and style, as usability was "
            f"measured with, got {facts.looks.shape[1]}."
        )
    likeness = facts.looks @ np.array(record.likeness) + record.likeness_offset
    appearance = facts.looks @ np.array(record.appearance) + record.appearance_offset
    terms = facts.terms(appearance)
    low, middle, high = (
        np.clip(terms @ np.array(constants), -1.0, 1.0)
        for constants in (record.lower, record.median, record.upper)
    )
    return [
        _usability(values, record)
        for values in zip(
            likeness.tolist(), low.tolist(), middle.tolist(), high.tolist(), strict=True
        )
    ]


def _usability(values: tuple[float, float, float, float], record: UsabilityRecord) -> Usability:
    likeness, low, middle, high = values
    low, high = min(low, middle), max(high, middle)
    if likeness < record.least_likeness:
        return Usability(
            similarity=0.0,
            interval=None,
            level=record.level,
            verdict="not usable",
            reason="the images do not look like faces to the embedder",
        )
    verdict: Verdict = "usable"
    reason = ""
    threshold = level_in_words(
        record.level, rate_in_words(record.false_match_rate), "where usability was measured"
    )
    if high < record.level:
        verdict, reason = "not usable", f"even the upper end is below the {threshold}"
    elif middle < record.level:
        verdict, reason = "doubtful", f"the prediction is below the {threshold}"
    return Usability(
        similarity=middle, interval=(low, high), level=record.level, verdict=verdict, reason=reason
    )
