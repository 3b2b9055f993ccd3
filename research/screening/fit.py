"""What to expect of the halves of one person's set, fitted to sets of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probefusion.screening.expectation import Expectation, Halves, terms_of
from probefusion.screening.judging import Looked, judge_splits
from probefusion.screening.stacks import Stack
from research.screening.pools import Pool, Rows

__all__ = ["SHARPNESS", "SIZES", "by_templates", "fit_expectation", "sets_of_one"]

SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
FALSE_ALARMS = 0.01
SHARPNESS = 2.0
"""With 1 many weak splits count most, which finds more at 30 % and less at 10 %; with more the worst."""
_FLOOR = 0.02
"""Keeps the logarithm of a deviation of nothing finite."""


Group = Sequence[tuple[Stack, Looked]]


def sets_of_one(
    pool: Pool,
    rng: np.random.Generator,
    people: Sequence[str],
    count: int,
    sizes: Sequence[int] = SIZES,
    *,
    are_templates: bool = False,
) -> list[tuple[Stack, Looked]]:
    """Sets of one person each, of sizes drawn, and their splits; those of one size together.

    Args:
        pool: Where the images are.
        rng: Draws.
        people: Whose.
        count: How many sets.
        sizes: Of how many images.
        are_templates: Whether halves are what the fuser makes of them, as a gallery has them, one set at a time.
    """
    possible = pool.sizes(people, sizes)
    drawn = [pool.plant(rng, people, int(rng.choice(possible)), 0).rows for _ in range(count)]
    found = []
    for size in sizes:
        rows = [item for item in drawn if len(item) == size]
        for item in rows if are_templates else ():
            one = pool.stack(item[None])
            found.append((one, by_templates(pool, item, Looked.at(one))))
        if rows and not are_templates:
            stack = pool.stack(np.stack(rows))
            found.append((stack, Looked.at(stack)))
    return found


def by_templates(pool: Pool, rows: Rows, looked: Looked) -> Looked:
    """The same splits of one set, with the cosines of what the fuser itself makes of the halves.

    Args:
        pool: Where the images are.
        rows: (N,) the set.
        looked: Its splits.
    """
    elements = pool.elements(rows)
    products = elements.templates(looked.parts) * elements.templates(~looked.parts)
    return replace(looked, similarities=products.sum(axis=1))


def fit_expectation(
    groups: Sequence[Group], measured_on: str, sharpness: float = SHARPNESS
) -> Expectation:
    """Fits mean and spread of the halves' cosine, and the threshold that 1 in 100 sets of the worst kind passes.

    Args:
        groups: Sets of one person each and their splits, a group of each kind; the kinds have about as many sets.
        measured_on: What they are, in words.
        sharpness: As of the expectation.
    """
    found = [_usable(looked) for sets in groups for _, looked in sets]
    halves = Halves(
        part_masses=np.concatenate([item.part_masses for item, _ in found]),
        other_masses=np.concatenate([item.other_masses for item, _ in found]),
        part_counts=np.concatenate([item.part_counts for item, _ in found]),
        other_counts=np.concatenate([item.other_counts for item, _ in found]),
        part_weights=np.concatenate([item.part_weights for item, _ in found]),
    )
    cosines = np.concatenate([item for _, item in found])
    logs = np.log([halves.part_masses, halves.other_masses])
    limits = (
        (float(np.quantile(logs, 0.001)), float(np.quantile(logs, 0.999))),
        (0.0, float(np.log(max(SIZES)))),
    )
    terms = terms_of(halves, limits)
    mean = np.linalg.lstsq(terms, cosines, rcond=1e-9)[0]
    residuals = cosines - terms @ mean
    spread = np.linalg.lstsq(terms, np.log(np.abs(residuals) + _FLOOR), rcond=1e-9)[0]
    scale = float(np.std(residuals / np.exp(terms @ spread)))
    spread[0] += np.log(scale)
    fitted = Expectation(
        cosine=tuple(float(f"{value:.5g}") for value in mean),
        log_spread=tuple(float(f"{value:.5g}") for value in spread),
        limits=((round(limits[0][0], 3), round(limits[0][1], 3)), (0.0, round(limits[1][1], 3))),
        threshold=0.0,
        measured_on=measured_on,
        sharpness=sharpness,
    )
    threshold = max(
        _threshold(
            np.concatenate([judge_splits(stack, fitted, looked).scores for stack, looked in sets])
        )
        for sets in groups
    )
    return Expectation(**{**vars(fitted), "threshold": round(threshold, 2)})


def _usable(looked: Looked) -> tuple[Halves, npt.NDArray[np.float64]]:
    rows = np.isfinite(looked.similarities)
    halves = Halves(**{name: array[rows] for name, array in vars(looked.halves).items()})
    return halves, looked.similarities[rows]


def _threshold(scores: npt.NDArray[np.float64]) -> float:
    """The score that 1 % of the sets pass."""
    return float(np.sort(scores)[::-1][int(FALSE_ALARMS * len(scores))])
