"""The two fits that usability is made of: weighted ridge regression, and the regression of a quantile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["fit_quantile", "fit_ridge"]

_Floats = npt.NDArray[np.float64]

_STEPS = 80
_CLOSEST = 1e-3
"""Distances below this count as this, so that weights stay finite."""


def fit_ridge(
    terms: _Floats,
    values: _Floats,
    *,
    strength: float,
    weights: _Floats | None = None,
    has_offset: bool = False,
) -> _Floats:
    """The constants (T,) for which terms (B, T) times them come closest to values (B,).

    Args:
        terms: (B, T).
        values: (B,).
        strength: How strongly large constants are held back, as a share of the weight of all rows.
        weights: (B,) weight of each row; None for 1.
        has_offset: Whether the last term is the constant 1, which is not held back.
    """
    weights = np.ones(len(terms)) if weights is None else weights
    products = terms.T @ (terms * weights[:, None])
    held = np.full(len(products), strength * weights.sum())
    if has_offset:
        held[-1] = 0.0
    found = np.linalg.solve(products + np.diag(held), terms.T @ (weights * values))
    return np.asarray(found, np.float64)


def fit_quantile(terms: _Floats, values: _Floats, share: float) -> _Floats:
    """The constants (T,) for which about `share` of the values lie below terms times them.

    Args:
        terms: (B, T).
        values: (B,).
        share: Between 0 and 1; 0.5 gives the median.
    """
    found = np.asarray(np.linalg.lstsq(terms, values, rcond=None)[0], np.float64)
    for _ in range(_STEPS):
        rest = values - terms @ found
        pull = np.where(rest > 0, share, 1 - share) / np.maximum(np.abs(rest), _CLOSEST)
        found = fit_ridge(terms, values, strength=1e-6, weights=pull)
    return found
