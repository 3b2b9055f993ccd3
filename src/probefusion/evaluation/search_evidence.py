"""Searches for people who are not in a gallery: at which rate of one comparison they err as stated.

If comparisons were independent, a search among G people would err at 1 - (1 - FMR)^G. Some people are alike to
many others, and the tail of a model errs far out, so the rate of one comparison is corrected: by a straight line
in the logarithm of that rate, through what searches of people that were not fitted need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.fusion.calibration import MIDDLE_LOG_RATE, SearchCorrection
from probefusion.fusion.fit_non_mated import Sets
from probefusion.fusion.non_mated import Floats, NonMatedModel
from probefusion.metrics.tails import rate_per_comparison

__all__ = ["DRAWS", "FPIRS", "Searches", "can_search", "find_correction", "search_others"]

FPIRS = (0.1, 0.03, 0.01)
"""Rates of searches that are measured."""

DRAWS = 4
"""Galleries of one size that are drawn; a search in each of them counts as one of four parts of one search."""

_GALLERIES = (50, 100, 200, 500, 1_000, 2_000)
_GALLERY_SHARE = 0.95
"""Of the people of a population how many a gallery holds at most."""

_MOST_SEARCHES = 2_500
"""In a gallery; of more sets some are drawn."""

_FITTED_RATES = (0.3, 0.2, 0.1, 0.06, 0.03, 0.02, 0.01)
_LEAST_ERRORS = 10
"""Rates with fewer errors than this have no part in the correction."""

_CLUMP = 4.0
"""So many errors count as one: most are of few people."""

_SLOPE = 0.08
"""Standard deviation of the slope before anything is measured; other slopes need many errors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Searches:
    """Searches in one gallery for people who are not in it.

    Args:
        population: Of gallery and searches, or -1 if of several.
        gallery_size: People in it.
        log_rates: (S,) logarithm of the rate of one comparison from which on each search has a candidate.
        people: (S,) numbers of the people that are searched for, or of their families.
    """

    population: int
    gallery_size: int
    log_rates: Floats
    people: npt.NDArray[np.int64]


def can_search(sets: Sets, are_poor: npt.NDArray[np.bool_]) -> bool:
    """Whether there are people enough for the smallest gallery."""
    entries = sets.individuals[(sets.num_images == 1) & ~are_poor[sets.kinds]]
    return _GALLERIES[0] <= _GALLERY_SHARE * len(np.unique(entries))


def search_others(
    model: NonMatedModel, sets: Sets, are_poor: npt.NDArray[np.bool_], rng: np.random.Generator
) -> list[Searches]:
    """Searches for each set among one image as it is of others; themselves and their family do not count.

    Galleries are of one population; of all together only where they are larger than any population.

    Args:
        model: Fitted to other people.
        sets: The templates.
        are_poor: Which kinds are of degraded sets.
        rng: Of the galleries.
    """
    is_entry = (sets.num_images == 1) & ~are_poor[sets.kinds]
    terms = model.terms(sets.vectors, sets.num_images)
    populations = np.unique(sets.populations)
    parts = {int(each): sets.populations == each for each in populations}
    counts = {
        each: len(np.unique(sets.individuals[part & is_entry])) for each, part in parts.items()
    }
    found = []
    for size in _GALLERIES:
        fitting = [each for each in parts if size <= _GALLERY_SHARE * counts[each]]
        if not fitting and size <= _GALLERY_SHARE * sum(counts.values()):
            fitting = [-1]
        for population in fitting:
            member = parts.get(population, np.ones(len(is_entry), dtype=bool))
            for _ in range(DRAWS):
                found.append(
                    _search(model, sets, terms, np.flatnonzero(member & is_entry),
                            np.flatnonzero(member), size, population, rng)
                )  # fmt: skip
    return found


def _search(
    model: NonMatedModel,
    sets: Sets,
    terms: Floats,
    entries: npt.NDArray[np.int64],
    probes: npt.NDArray[np.int64],
    size: int,
    population: int,
    rng: np.random.Generator,
) -> Searches:
    mixed = rng.permutation(entries)
    _, first = np.unique(sets.individuals[mixed], return_index=True)
    gallery = mixed[rng.permutation(first)[:size]]
    if len(probes) > _MOST_SEARCHES:
        probes = rng.choice(probes, _MOST_SEARCHES, replace=False)
    log_rates = model.log_rates(
        terms[probes], terms[gallery], sets.vectors[probes] @ sets.vectors[gallery].T
    )
    log_rates[~sets.different(probes, gallery)] = np.inf
    return Searches(
        population=population,
        gallery_size=size,
        log_rates=log_rates.min(axis=1),
        people=sets.people[probes],
    )


def find_correction(searched: Sequence[Searches]) -> SearchCorrection | None:
    """What must be added to the logarithm of a rate so that searches err as stated; populations count alike.

    A straight line for each population, of one slope: least squares of the quantiles of `log_rates`, each as
    sure as the errors it rests on. None where too few were searched for.
    """
    pure = [each for each in searched if each.population >= 0] or list(searched)
    populations = sorted({each.population for each in pure})
    lines, wanted, certainty = [], [], []
    for population in populations:
        for size in _GALLERIES:
            parts = [
                each.log_rates
                for each in pure
                if (each.population, each.gallery_size) == (population, size)
            ]
            least = np.sort(np.concatenate(parts)) if parts else np.empty(0)
            for rate in _FITTED_RATES:
                errors = rate * len(least) / DRAWS
                if errors < _LEAST_ERRORS:
                    continue
                plain = float(np.log(rate_per_comparison(rate, size)))
                own = [float(each == population) for each in populations]
                lines.append([*own, plain - MIDDLE_LOG_RATE])
                wanted.append(float(np.quantile(least, rate)) - plain)
                certainty.append(errors / _CLUMP)
    if not lines:
        return None
    columns, weights = np.array(lines), np.array(certainty)
    is_measured = columns[:, :-1].any(axis=0)
    columns = columns[:, [*np.flatnonzero(is_measured), -1]]
    held_back = np.diag([*[1e-9] * int(is_measured.sum()), 1 / _SLOPE**2])
    found = np.linalg.solve(
        (columns * weights[:, None]).T @ columns + held_back, columns.T @ (weights * wanted)
    )
    return SearchCorrection(
        offset=round(float(found[:-1].mean()), 4), slope=round(float(found[-1]), 4)
    )
