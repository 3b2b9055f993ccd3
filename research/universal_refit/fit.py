"""Chooses the constants of a rule on some people, and joins what two halves chose for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probefusion.metrics import tar_at_far
from research.real_faces.film_scores import Column, FilmScores
from research.universal_refit.material import FilmSets
from research.universal_refit.rules import Rule

__all__ = ["GRIDS", "Accuracy", "crossed", "fitted", "rates"]

RATES = (1e-3, 1e-2)
MARGIN = 5e-4
"""A constant is changed only if that is worth more."""

GRIDS: Mapping[str, tuple[float, ...]] = {
    "power": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.6),
    "ceiling": (0.0, 0.5, 1.0, 1.5, 2.0, 4.0),
    "share": (-0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.8),
    "share_by_coherence": (-6.0, -3.0, 0.0, 3.0, 6.0),
    "share_by_size": (-0.6, -0.3, 0.0, 0.3, 0.6),
    "length": (0.0, 0.5, 1.0, 2.0, 3.0),
    "second": (-0.5, -0.25, 0.0, 0.5, 1.0, 3.0),
    "bundling": (0.0, 0.2, 0.4, 0.6),
}

Kept = npt.NDArray[np.bool_]


def rates(scores: FilmScores, kept: Kept) -> npt.NDArray[np.float64]:
    """(3,) TAR at both rates and rank 1 among some people, all of them alike."""
    among = scores.among(kept)
    counts = np.bincount(among.mated_people)
    found = []
    for tar in tar_at_far(among.mated, among.non_mated, RATES):
        accepted = np.bincount(among.mated_people, weights=among.mated >= tar.threshold)
        found.append(float(np.mean(accepted / counts)))
    return np.array([*found, _rank1(scores, kept)])


def _rank1(scores: FilmScores, kept: Kept) -> float:
    firsts = np.zeros(len(kept))
    counts = np.zeros(len(kept))
    for similarities, people in zip(scores.similarities, scores.people, strict=True):
        mine = kept[people]
        own = np.arange(len(kept)) == people[mine][:, None]
        found = np.where(kept, similarities[mine], -np.inf)
        rival = np.where(own, -np.inf, found).max(axis=1)
        firsts += np.bincount(people[mine], weights=found[own] > rival, minlength=len(kept))
        counts += np.bincount(people[mine], minlength=len(kept))
    return float(np.mean(firsts[counts > 0] / counts[counts > 0]))


class Accuracy:
    """How good a rule is among the people of each half, by embedder; measured once.

    Args:
        films: By name of the embedder.
        columns: Which are averaged.
        halves: By name, (G,) who belongs to it.
    """

    def __init__(
        self,
        films: Mapping[str, FilmSets],
        columns: Sequence[Column],
        halves: Mapping[str, Kept],
    ) -> None:
        self._films, self._columns, self._halves = films, columns, halves
        self._known: dict[tuple[Rule, str], dict[str, float]] = {}

    def of(self, rule: Rule, half: str, embedders: Iterable[str]) -> float:
        """Mean over embedders, columns, both TARs and rank 1."""
        return float(np.mean([self._measured(rule, name)[half] for name in embedders]))

    def _measured(self, rule: Rule, name: str) -> dict[str, float]:
        if (rule, name) not in self._known:
            scores = self._films[name].rule_scores(rule, self._columns)
            self._known[rule, name] = {
                half: float(np.mean([rates(found, kept) for found in scores.values()]))
                for half, kept in self._halves.items()
            }
        return self._known[rule, name]


def fitted(
    accuracy: Callable[[Rule], float],
    grids: Mapping[str, Sequence[float]] = GRIDS,
    *,
    margin: float = MARGIN,
    passes: int = 2,
) -> Rule:
    """The rule found by changing one constant after the other, from `universal` on.

    Args:
        accuracy: Of a rule; higher is better.
        grids: Values of each constant.
        margin: What a change must be worth.
        passes: Over all constants; it ends earlier when one changes nothing.
    """
    rule = Rule()
    best = accuracy(rule)
    for _ in range(passes):
        before = rule
        for name, values in grids.items():
            if name.startswith("share_by") and not rule.share:
                continue
            found = {value: accuracy(replace(rule, **{name: value})) for value in values}
            value = max(found, key=lambda value: found[value])
            if found[value] > best + margin:
                rule, best = replace(rule, **{name: value}), found[value]
        if rule == before:
            break
    return rule


def crossed(
    films: FilmSets, columns: Sequence[Column], half: Kept, rules: tuple[Rule, Rule]
) -> dict[Column, FilmScores]:
    """Scores in which each half has the rule that the other one chose.

    Args:
        films: Of one embedder.
        columns: Which ones.
        half: (G,) the people of the first half.
        rules: What the first half and what the second half chose.
    """
    of_first, of_second = (films.rule_scores(rule, columns) for rule in rules)
    return {
        column: of_second[column].of_probes(half).with_probes(of_first[column].of_probes(~half))
        for column in columns
    }
