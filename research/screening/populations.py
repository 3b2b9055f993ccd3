"""Do stated intervals of rates hold, for kinds of people that were measured and for one that was not?

    python -m research.screening.populations FUSER --embedder MODEL --data ZIP [--also ZIP ...] --cache DIR

A cell is a population, which sides are degraded, the numbers of images of both sides, and a rate. Its people were not
fitted: they are the other half of the people, both ways; or the whole population is left out of the calibration. Cells
of fewer than 10 expected errors are left out. Printed of each rate: the share of cells whose achieved rate lies within
the stated interval (for a population left out: below the stated bound), and of those where the 95 % intervals of the
two do not even touch; then each cell.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.rate_tallies import Tally, draw_people
from probefusion.evaluation.threshold_evidence import make_calibration
from probefusion.fusion.calibration import LOOKS, CalibrationRecord
from probefusion.fusion.fit_non_mated import Sets
from probefusion.fusion.rate_basis import basis_of_pairs
from research.screening.thresholds import RATES, options_of, sets_of

LEAST_ERRORS = 10


class Cell(Tally):
    """Errors and trials, with the sums of what was stated."""

    def __init__(self) -> None:
        super().__init__()
        self.stated = np.zeros(3)
        """Lower and upper end, and the bound for other populations, each times the comparisons."""


def main() -> None:
    """Measures and prints."""
    options = options_of(__doc__)
    fuser, embedder, sets, sources = sets_of(options)
    is_poor = sets.kinds % 3 > 0
    names = [source.name for source in sources]

    def calibrated(rows: npt.NDArray[np.int64]) -> CalibrationRecord:
        used, kinds = np.unique(sets.kinds[rows], return_inverse=True)
        return make_calibration(
            Sets(**{**vars(sets.part(rows)), "kinds": kinds}),
            [bool(kind % 3) for kind in used],
            embedder=embedder.fingerprint,
            fuser=fuser.fingerprint,
            protocol="part",
            sources=sources,
            rates=RATES,
        )

    show(report(sets, is_poor, names, calibrated, np.random.default_rng(options.seed)))


def report(
    sets: Sets,
    is_poor: npt.NDArray[np.bool_],
    names: list[str],
    calibrated: Callable[[npt.NDArray[np.int64]], CalibrationRecord],
    rng: np.random.Generator,
) -> dict[str, list[tuple[str, float, tuple[float, float, float], tuple[float, float, float]]]]:
    """Of both ways to be judged by others: each cell with its rate, what it came to, and what was stated, as ratios."""
    people = np.unique(sets.people)
    first = np.isin(sets.people, rng.permutation(people)[: len(people) // 2])
    found = defaultdict(list)
    parts = [("half", first), ("half", ~first)]
    parts += [("left out", sets.populations != each) for each in np.unique(sets.populations)]
    for way, fitted in parts:
        record = calibrated(np.flatnonzero(fitted))
        judged = np.flatnonzero(~fitted)
        cells: dict[tuple[int, str, float], Cell] = defaultdict(Cell)
        judge(record, sets.part(judged), is_poor[judged], cells)
        for (population, kind, rate), cell in sorted(cells.items()):
            trials = cell.trials[0]
            if trials * rate >= LEAST_ERRORS:
                name = f"{names[population]} {kind}"
                achieved, low, high = (each / rate for each in cell.rate())
                stated = tuple((cell.stated / trials / rate).tolist())
                found[way].append((name, rate, (achieved, low, high), stated))
    return found


def judge(
    record: CalibrationRecord,
    sets: Sets,
    is_poor: npt.NDArray[np.bool_],
    cells: dict[tuple[int, str, float], Cell],
) -> None:
    """Tallies what a calibration comes to on other people, and what it stated of it."""
    model, looks = record.model.model(), record.poor_looks(sets.vectors).astype(int)
    terms = model.terms(sets.vectors, sets.num_images)
    draws = draw_people(np.unique(sets.people), sets.people.max() + 1, np.random.default_rng(0))
    for population in np.unique(sets.populations):
        groups = {
            (poor, look, size): np.flatnonzero(
                (sets.populations == population) & (is_poor == poor) & (looks == look)
                & (sets.num_images == size)
            )
            for poor in (0, 1) for look in (0, 1) for size in np.unique(sets.num_images).tolist()
        }  # fmt: skip
        for (a, rows), (b, others) in combinations_with_replacement(groups.items(), 2):
            apart = sets.different(rows, others)
            apart = np.triu(apart, 1) if a == b else apart
            count = int(np.count_nonzero(apart))
            if count == 0:
                continue
            one, other = sorted(
                ((("clean", "degraded")[poor], size) for poor, _, size in (a, b)),
                key=lambda side: (side[0], side[1]),
            )
            kind = f"{one[0]} {one[1]} - {other[0]} {other[1]}"
            similarities = sets.vectors[rows] @ sets.vectors[others].T
            pairs = draws[:, sets.people[rows]].sum(1) * draws[:, sets.people[others]].sum(1)
            for rate in RATES:
                basis = basis_of_pairs(record, (LOOKS[a[1]], LOOKS[b[1]]), (a[2], b[2]), rate)
                if basis.measured is None:
                    continue
                (limits,) = model.thresholds(terms[rows], terms[others], [basis.asked])
                hit, met = np.nonzero((similarities >= limits) & apart)
                errors = np.einsum(
                    "rm,rm->r", draws[:, sets.people[rows[hit]]], draws[:, sets.people[others[met]]]
                )
                cell = cells[(int(population), kind, rate)]
                cell.add(errors, pairs * (count / pairs[0]), sets.people[rows])
                told = basis.measured
                elsewhere = np.nan if told.elsewhere is None else told.elsewhere
                cell.stated += count * np.array([told.low, told.high, elsewhere])


def show(found: dict[str, list]) -> None:
    """Prints shares, then cells."""
    out = sys.stdout.write
    for way, cells in found.items():
        for rate in RATES:
            rows = [(came, told) for _, each, came, told in cells if each == rate]
            if not rows:
                continue
            came, told = (np.array([row[side] for row in rows]) for side in (0, 1))
            inside = (came[:, 0] >= told[:, 0]) & (came[:, 0] <= told[:, 1])
            apart = (came[:, 2] < told[:, 0]) | (came[:, 1] > told[:, 1])
            out(
                f"{way}, at {rate:g}: {len(rows)} cells; within the interval {inside.mean():.2f}, surely outside "
                f"{apart.mean():.2f}, above it {(came[:, 0] > told[:, 1]).mean():.2f}; below the bound for others "
                f"{(came[:, 0] <= told[:, 2]).mean():.2f}; stated, in the middle: {np.median(told[:, 0]):.2f} to "
                f"{np.median(told[:, 1]):.2f}, elsewhere {np.median(told[:, 2]):.0f}\n"
            )
    for way, cells in found.items():
        for name, rate, came, told in cells:
            out(
                f"{way} | {name} | {rate:g} | {came[0]:.2f} [{came[1]:.2f}, {came[2]:.2f}] | "
                f"{told[0]:.2f} to {told[1]:.2f}, elsewhere {told[2]:.1f}\n"
            )


if __name__ == "__main__":
    main()
