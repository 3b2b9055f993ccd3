"""What weights could reach that know more than a fuser can: the answer, or the person's other films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from research.real_faces.film_scores import Column, FilmScores
from research.universal_refit.material import FilmSets
from research.universal_refit.rules import OPEN_CEILING, Images, Rule

__all__ = ["BOUNDS", "bound_scores", "predicted", "usefulness"]

Floats = npt.NDArray[np.floating]

BOUNDS = (
    "the answer c, weights exp(8 c)",
    "the answer c, weights exp(16 c)",
    "the answer, weights >= 0 nearest to it",
    "the person's other films c, weights exp(8 c)",
    "the person's other films as the other embedders see them",
)
"""The answer is the gallery image that a set is compared with."""


def usefulness(images: Images, owners: Sequence[str], media: Sequence[str]) -> Floats:
    """(I,) how similar each image is to the weighted mean of its person's images in all other films.

    Where somebody has one film, to that of this film.
    """
    people, films = np.array(owners), np.array(media)
    weighted = images.units * np.exp(images.quality)[:, None]
    found = np.empty(len(people))
    for person in np.unique(people):
        mine = people == person
        total = weighted[mine].sum(axis=0)
        for film in np.unique(films[mine]):
            here = mine & (films == film)
            rest = total - weighted[here].sum(axis=0) if here.sum() < mine.sum() else total
            found[here] = images.units[here] @ (rest / np.linalg.norm(rest))
    return found


def predicted(
    features: Floats, target: Floats, first: npt.NDArray[np.bool_], *, ridge: float = 0.1
) -> Floats:
    """(I,) what a linear model makes of the features, learned for each half of the images on the other one.

    Args:
        features: (I, F).
        target: (I,).
        first: (I,) whether an image is of the first half.
        ridge: Penalty of an image's share, features in units of their spread.
    """
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    found = np.empty(len(target))
    for judged in (first, ~first):
        middle = scaled[~judged].mean(axis=0)
        seen, aim = scaled[~judged] - middle, target[~judged]
        inner = seen.T @ seen + ridge * len(seen) * np.eye(seen.shape[1])
        slopes = np.linalg.solve(inner, seen.T @ (aim - aim.mean()))
        found[judged] = (scaled[judged] - middle) @ slopes + aim.mean()
    return found


def bound_scores(
    name: str, films: FilmSets, useful: Mapping[str, Floats], own: str, columns: Sequence[Column]
) -> dict[Column, FilmScores]:
    """Scores with weights that know too much.

    Args:
        name: One of `BOUNDS`.
        films: Of one embedder.
        useful: `usefulness` by embedder.
        own: The embedder.
        columns: Which ones.
    """
    open_rule = Rule(ceiling=OPEN_CEILING)
    if name == BOUNDS[3]:
        return films.rule_scores(open_rule, columns, quality=8 * useful[own])
    if name == BOUNDS[4]:
        others = np.mean([useful[key] for key in useful if key != own], axis=0)
        quality = 4 * others + films.images.quality / 2
        return films.rule_scores(open_rule, columns, quality=quality)
    found = {}
    for column in columns:
        rows, offsets, answers = films.members(column)
        units, targets = films.images.units[rows], films.images.units[answers]
        parts = [
            _template(name, units[start:stop], target)
            for start, stop, target in zip(offsets[:-1], offsets[1:], targets, strict=True)
        ]
        found[column] = films.scores_of(column, np.stack(parts))
    return found


def _template(name: str, units: Floats, answer: Floats) -> Floats:
    if name == BOUNDS[2]:
        weights = nnls(units.T.astype(np.float64), answer.astype(np.float64))[0]
        weights = weights if weights.any() else np.ones_like(weights)
    else:
        weights = np.exp((8 if name == BOUNDS[0] else 16) * (units @ answer))
    fused: Floats = (weights @ units).astype(np.float32)
    return fused / np.float32(np.linalg.norm(fused))
