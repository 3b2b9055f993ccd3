"""The upper tail of similarities, and what it says about searches in a gallery.

Source: Coles 2001, "An introduction to statistical modeling of extreme values", ch. 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from probefusion.errors import EmptySetError, ShapeError
from probefusion.metrics.validation import check_count, check_fraction, check_scores

__all__ = ["MIN_EXPECTED_ERRORS", "is_supported", "pareto_shape", "rate_per_comparison"]

MIN_EXPECTED_ERRORS = 30
"""Errors that a number of comparisons must lead to be expected before a rate is stated ("rule of 30")."""

_LARGEST_SHAPE = 0.3


def pareto_shape(excesses: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> float:
    """The shape of a generalised Pareto distribution, by probability-weighted moments.

    Args:
        excesses: (m,) by how much scores exceed a high level, >= 0; their scale has no influence.
        weights: (m,) how much each counts, >= 0; None: all alike.

    Returns:
        The shape, kept within -0.3 and 0.3: similarities are bounded, and a few must not make a tail
        that has no mean. 0 (an exponential tail) where all are equal.

    Raises:
        EmptySetError: If there are fewer than two.
        DtypeError, ShapeError, NonFiniteError: If they are no scores, or weights of other number.

    Example:
        >>> round(pareto_shape(-np.log((np.arange(1000) + 0.5) / 1000)), 2)
        0.0
    """
    found = check_scores(excesses, name="excesses").astype(np.float64)
    if len(found) < 2:
        raise EmptySetError(f"excesses: expected at least 2, got {len(found)}. Give more scores.")
    if weights is None:
        found = np.sort(found)
        above = 1 - (np.arange(len(found)) + 0.65) / len(found)
        mean, weighted = float(found.mean()), float((found * above).mean())
    else:
        share = check_scores(weights, name="weights").astype(np.float64)
        if len(share) != len(found):
            raise ShapeError(
                f"weights: expected {len(found)}, one for each excess, got {len(share)}."
            )
        order = np.argsort(found, kind="stable")
        found, share = found[order], share[order] / share.sum()
        above = 1 - np.cumsum(share) + 0.5 * share
        mean, weighted = float(found @ share), float((found * above) @ share)
    if mean <= 2 * weighted:
        return 0.0
    return float(np.clip(2 - mean / (mean - 2 * weighted), -_LARGEST_SHAPE, _LARGEST_SHAPE))


def rate_per_comparison(false_positive_rate: float, gallery_size: int) -> float:
    """The false match rate of one comparison at which a search among so many errs at a given rate.

    With independent comparisons 1 - FPIR = (1 - FMR)^G.

    Args:
        false_positive_rate: FPIR, the share of non-mated searches with any candidate, in (0, 1).
        gallery_size: G, people in the gallery, at least 1.

    Raises:
        InvalidInputError, DtypeError: If one is out of its range or no number.

    Example:
        >>> round(rate_per_comparison(0.1, 1000), 7)
        0.0001054
    """
    rate = check_fraction(false_positive_rate, name="false_positive_rate")
    size = check_count(gallery_size, name="gallery_size", minimum=1)
    return float(-np.expm1(np.log1p(-rate) / size))


def is_supported(rate: float, num_trials: int) -> bool:
    """Whether so many comparisons or searches can support an error rate: 30 expected errors or more.

    Fewer than 30 errors leave a rate uncertain by more than a third either way; without any error in n
    trials it may still be 3 / n ("rule of three").

    Example:
        >>> is_supported(1e-3, 30_000), is_supported(1e-4, 30_000)
        (True, False)
    """
    return rate * num_trials >= MIN_EXPECTED_ERRORS * (1 - 1e-9)
