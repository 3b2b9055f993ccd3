"""What the weights of a fuser are worth for one set: the predicted gain over the plain mean of its images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from probefusion.fusion import Fuser, MeanFuser
from probefusion.screening.gain import gain_terms, predict_gain
from probefusion.screening.usability import StateFacts
from probefusion.types import EmbeddingSet, Template
from probefusion.zoo.usability import usability_or_why

__all__ = ["gain_of"]


def gain_of(
    fuser: Fuser,
    template: Template,
    sets: Sequence[EmbeddingSet],
    *,
    is_whole: bool,
    calibration: Path | None = None,
) -> Callable[[], float | None]:
    """Gives what works the gain out when asked; it can be pickled.

    Args:
        fuser: The fuser of the template.
        template: The template.
        sets: The images it was made of.
        is_whole: Whether these are all its images; otherwise the gain is not known.
        calibration: As for `find_usability`.
    """
    return functools.partial(_gain, fuser, template, tuple(sets) if is_whole else (), calibration)


def _gain(
    fuser: Fuser,
    template: Template,
    sets: tuple[EmbeddingSet, ...],
    calibration: Path | None,
) -> float | None:
    if not sets or template.weights is None:
        return None
    record, _ = usability_or_why(fuser, template.embedder, calibration=calibration)
    if record is None:
        return None
    images = sets[0] if len(sets) == 1 else EmbeddingSet.concatenate(sets)
    plain = MeanFuser(num_threads=1)
    states = plain.encode_many(images, np.array([0, len(images)]))
    mean = plain.finish_many(states)[0]
    weights = template.weights.astype(np.float64)
    terms = gain_terms(
        agreement=[float(mean @ template.vector)],
        effective_images=[1 / float(weights @ weights)],
        num_images=[len(images)],
        coherence=StateFacts.of(states, [len(images)]).coherence,
    )
    gain = predict_gain(terms, record)
    return None if gain is None else float(gain[0])
