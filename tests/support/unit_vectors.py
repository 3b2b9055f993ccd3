"""Unit vectors that make a search hard, and the plain search to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

KINDS = ("random", "near ties", "equal", "opposite", "sparse", "single", "spiky", "tiny steps")


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, float32."""
    wide = np.asarray(rows, np.float64)
    return (wide / np.linalg.norm(wide, axis=-1, keepdims=True)).astype(np.float32)


def hard_vectors(kind: str, count: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """(count, dim) float32 unit vectors of one of `KINDS`."""
    noise = rng.standard_normal((count, dim))
    one = rng.standard_normal(dim)
    if kind == "near ties":
        return unit(one + 1e-6 * noise)
    if kind == "equal":
        return unit(noise[:2])[rng.integers(0, min(2, count), count)]
    if kind == "opposite":
        return unit(one)[None] * rng.choice(np.float32([-1, 1]), (count, 1))
    if kind == "sparse":
        return unit(
            noise * (rng.random((count, dim)) < 0.1) + 1e-3 * np.eye(dim)[rng.integers(dim)]
        )
    if kind == "single":
        return np.eye(dim, dtype=np.float32)[rng.integers(0, dim, count)]
    if kind == "spiky":  # one large number: 8 bits keep little of the others
        return unit(0.01 * noise + 3 * np.eye(dim)[rng.integers(dim)])
    if kind == "tiny steps":  # neighbours in float32 along one axis
        rows = np.repeat(unit(one)[None], count, axis=0)
        rows[:, 0] += np.arange(count, dtype=np.float32) * np.spacing(np.abs(rows[0, 0]))
        return rows
    return unit(noise)


def plain_similarity(first: np.ndarray, second: np.ndarray) -> np.float32:
    """The exact inner product, rounded: of float32 numbers each product is exact, and fsum rounds once."""
    products = (float(a) * float(b) for a, b in zip(first, second, strict=True))
    return np.float32(math.fsum(products) + 0.0)


def plain_search(
    ids: Sequence[str],
    vectors: np.ndarray,
    query: np.ndarray,
    *,
    top_k: int | None,
    at_least: float | None,
) -> list[tuple[str, float]]:
    """All similarities, sorted; equal ones by id."""
    pairs = [
        (name, float(plain_similarity(row, query))) for name, row in zip(ids, vectors, strict=True)
    ]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    if at_least is not None:
        pairs = [pair for pair in pairs if pair[1] >= at_least]
    elif top_k is None:
        top_k = 10
    return pairs[:top_k]
