"""Will fusing by weights help here? The predicted gain of a fuser over the plain mean of the same images.

The gain is the similarity to a clean image of the person with the fuser, less that with the plain mean. It is
told, and decides nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.screening.usability_record import NUM_GAIN_TERMS, UsabilityRecord

__all__ = ["gain_terms", "predict_gain"]

_Floats = npt.NDArray[np.float64]

TERMS = ("move", "spread", "move*spread", "scatter", "move*scatter", "spread*scatter")
"""The terms of the formula, in order; of one image, or copies of it, only the move can differ from 0."""


def gain_terms(
    *, agreement: npt.ArrayLike, effective_images: npt.ArrayLike, num_images: npt.ArrayLike,
    coherence: npt.ArrayLike,
) -> _Floats:  # fmt: skip
    """The terms of B sets.

    Args:
        agreement: (B,) cosine between the fused template and the plain mean.
        effective_images: (B,) 1 / sum of the squared weights: as many images count.
        num_images: (B,) images.
        coherence: (B,) length of the plain mean of the unit embeddings.

    Returns:
        (B, 6) of `TERMS`: move = 1 - agreement, spread = 1 - effective_images / num_images, scatter =
        1 - coherence^2.
    """
    move = 1 - np.asarray(agreement, np.float64)
    spread = 1 - np.asarray(effective_images, np.float64) / np.asarray(num_images, np.float64)
    scatter = 1 - np.asarray(coherence, np.float64) ** 2
    return np.stack(
        [move, spread, move * spread, scatter, move * scatter, spread * scatter], axis=-1
    )


def predict_gain(terms: _Floats, record: UsabilityRecord) -> _Floats | None:
    """The predicted gain in similarity, (B,); None where it was not fitted for this fuser.

    Args:
        terms: (B, 6) of `gain_terms`.
        record: What was measured for the fuser.
    """
    if len(record.gain) != NUM_GAIN_TERMS:
        return None
    gain: _Floats = terms @ np.array(record.gain)
    return gain
