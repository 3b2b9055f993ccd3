"""Made-up templates that lie to each other as those of people do."""

from __future__ import annotations

import numpy as np

STRANGERS = {128: 0.10, 512: 0.065}
"""Spread of the similarity of two strangers, by dimension."""

MATES = 0.86
"""Similarity of a probe's template to the one of the same person."""


class MadeUpPeople:
    """A between-person model: normal along random axes with falling variances, then of unit length.

    The variances fall exponentially, as fast as makes the similarities of strangers spread by `STRANGERS`. A
    probe is its person's template plus noise of the same kind, so long that their similarity is about `MATES`.
    """

    def __init__(self, dim: int, rng: np.random.Generator) -> None:
        self._rng = rng
        axes, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
        spread = np.sqrt(_variances(dim, 1 / STRANGERS[dim] ** 2))
        self._mix = (spread[:, None] * axes).astype(np.float32)

    def templates(self, count: int) -> np.ndarray:
        """(count, D) float32 templates of different people."""
        found = np.empty((count, len(self._mix)), np.float32)
        for start in range(0, count, 65_536):
            part = found[start : start + 65_536]
            part[:] = self._rng.standard_normal(part.shape, dtype=np.float32) @ self._mix
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        return found

    def probes(self, templates: np.ndarray) -> np.ndarray:
        """(Q, D) float32: each the same person again."""
        length = np.sqrt(1 / MATES**2 - 1)
        probes = templates + np.float32(length) * self.templates(len(templates))
        return probes / np.linalg.norm(probes, axis=1, keepdims=True)


def _variances(dim: int, effective: float) -> np.ndarray:
    """exp(-i / t) with (sum)^2 / (sum of squares) = effective, which is 1 / spread^2."""
    low, high = 1e-3, 1e6
    for _ in range(200):
        middle = np.sqrt(low * high)
        values = np.exp(-np.arange(dim) / middle)
        low, high = (
            (middle, high) if values.sum() ** 2 / (values**2).sum() < effective else (low, middle)
        )
    return values / values.sum()
